/* The two passes. Rows of the plane run downwards, like those of scan and screen. */

/* Pass 1: raw levels of one tile → (mean high, mean low, least high, least low) for each screen pixel. */
export const RESAMPLE_VERTEX = `#version 300 es
uniform vec4 rect;      // of the tile on the plane: x0, y0, x1, y1
uniform vec2 plane_px;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4(mix(rect.xy, rect.zw, corner) / plane_px * 2.0 - 1.0, 0.0, 1.0);
}`;

export const RESAMPLE = `#version 300 es
precision highp float; precision highp int; precision highp usampler2DArray;
uniform usampler2DArray tiles;
uniform ivec2 layer;    // of mean and of least
uniform mat2 turn;      // plane → pixels of the tile's level
uniform vec2 shift;
uniform vec2 step_px;   // pixels of the level that one plane pixel spans, x and y
uniform bool smooth_up; // enlarged pixels blend into each other
out uvec4 plane;
void main() {
  vec2 at = turn * gl_FragCoord.xy + shift;
  vec2 width = smooth_up ? max(step_px, vec2(1.0)) : step_px;
  vec2 low = at - 0.5 * width, high = at + 0.5 * width;
  ivec2 first = ivec2(floor(low + 1e-4)), last = ivec2(ceil(high - 1e-4)) - 1;
  last = min(max(last, first), first + 5);
  vec2 sum = vec2(0.0);
  uvec2 least = uvec2(65535u);
  float weights = 0.0;
  for (int y = first.y; y <= last.y; y++) {
    float wy = min(high.y, float(y) + 1.0) - max(low.y, float(y));
    for (int x = first.x; x <= last.x; x++) {
      float w = wy * (min(high.x, float(x) + 1.0) - max(low.x, float(x)));
      if (w <= 0.0) continue;
      uvec2 texel = texelFetch(tiles, ivec3(x, y, layer.x), 0).rg;
      sum += w * vec2(texel);
      weights += w;
      if (layer.y != layer.x) least = min(least, texelFetch(tiles, ivec3(x, y, layer.y), 0).rg);
      else least = min(least, texel);
    }
  }
  uvec2 mean = uvec2(sum / weights + 0.5);
  plane = uvec4(mean, min(least, mean));
}`;

/* Pass 1b, for materials only: the mean of both energies over 7 × 7 neighbours of the same thickness,
   times 64, and how many there are. One pixel says little about a material, and a mean across an edge
   says something wrong. */
export const REFINE = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D;
uniform usampler2D plane;
uniform ivec4 rect;
uniform int stride;     // pixels of the plane from one neighbour to the next
uniform float white;
uniform float noise;    // of the transmission of a pixel in air
out uvec4 pairs;
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  float middle = max(float(texelFetch(plane, at, 0).r), 1.0);
  float near = middle * (0.04 + 3.0 * noise * sqrt(white / middle));
  vec2 sum = vec2(0.0);
  float count = 0.0;
  for (int y = -3; y <= 3; y++) for (int x = -3; x <= 3; x++) {
    vec2 pair = vec2(texelFetch(plane, clamp(at + stride * ivec2(x, y), rect.xy, rect.zw), 0).rg);
    if (abs(pair.x - middle) <= near) { sum += pair; count += 1.0; }
  }
  pairs = uvec4(sum / count * 64.0 + 0.5, count, 0.0);
}`;

/* Pass 2: the plane → what is seen, one draw for each pane. Features that are off are not compiled in:
   DENSE, GAIN (levels of another scan), FINE (grey as a fraction: edges, local contrast, gamma, strip),
   EDGES, LOCAL, STRIP, COLOUR, MARK. */
export const FEATURES = ["DENSE", "GAIN", "FINE", "EDGES", "LOCAL", "STRIP", "COLOUR", "MARK"];

export const SHOW_VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(vec2((gl_VertexID & 1) * 4 - 1, (gl_VertexID >> 1) * 4 - 1), 0.0, 1.0);
}`;

export const show = (features) => `#version 300 es
${features.map((name) => `#define ${name}`).join("\n")}
precision highp float; precision highp int; precision highp usampler2D;
uniform usampler2D plane;
uniform usampler2D pairs; // what pass 1b found
uniform int plane_height;
uniform ivec4 rect;      // of the pane on the plane: x0, y0, x1 - 1, y1 - 1
uniform int energy;      // 0 high, 1 low
uniform float dense;     // least is shown where it is less than this share of the mean
uniform float gain;      // levels as shown over levels of this scan
uniform float white;     // level of T = 1
uniform sampler2D greys; // level → grey, 256 × 256
uniform sampler2D tones; // the same as a fraction, before gamma and inversion
uniform float gamma;
uniform bool inverse;
uniform float edges;
uniform float local_share;
uniform mat2 turn;       // plane → share of the scan's width and height
uniform vec2 shift;
uniform vec4 grid;       // local contrast: columns and rows of cells, first row of the table, all rows
uniform sampler2D local_table;
uniform int strip;       // 1 organic, 2 metal
uniform sampler2D shades;
uniform sampler2D classes;
uniform vec3 table;      // deepest attenuation, first and last ratio
uniform vec2 mark;       // levels between which density is highlighted
const vec3 MARK_COLOUR = vec3(0.95, 0.15, 0.75);
out vec4 seen;

uvec4 raw(ivec2 at) { return texelFetch(plane, clamp(at, rect.xy, rect.zw), 0); }

int level(uvec4 four) {
  uint v = energy == 0 ? four.r : four.g;
#ifdef DENSE
  uint least = energy == 0 ? four.b : four.a;
  v = float(least) < dense * float(v) ? least : v;
#endif
#ifdef GAIN
  v = min(uint(float(v) * gain + 0.5), 65535u);
#endif
  return int(v);
}

float tone(int v) { return texelFetch(tones, ivec2(v & 255, v >> 8), 0).r; }

#ifdef LOCAL
float local_tone(float x, vec2 place) {
  vec2 cell = clamp(place * grid.xy - 0.5, vec2(0.0), grid.xy - 1.0);
  vec2 low = floor(cell), high = min(low + 1.0, grid.xy - 1.0), part = cell - low;
  float u = (x * 255.0 + 0.5) / 256.0;
  #define AT(column, row) texture(local_table, vec2(u, (grid.z + (row) * grid.x + (column) + 0.5) / grid.w)).r
  return mix(mix(AT(low.x, low.y), AT(high.x, low.y), part.x),
             mix(AT(low.x, high.y), AT(high.x, high.y), part.x), part.y);
}
#endif

/* x, y in the tables of materials; z how much of the surroundings is of the same thickness. */
vec3 place_in_table(ivec2 at) {
  vec3 pair = vec3(texelFetch(pairs, at, 0).rgb);
  vec2 depth = -log(max(pair.xy / 64.0, vec2(0.5)) / white);
  float high = max(depth.x, 1e-6), ratio = depth.y / high;
  vec2 place = vec2(sqrt(min(high / table.x, 1.0)), clamp((ratio - table.y) / (table.z - table.y), 0.0, 1.0));
  vec2 size = vec2(textureSize(shades, 0));
  return vec3((place * (size - 1.0) + 0.5) / size, smoothstep(8.0, 24.0, pair.z));
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.x, plane_height - 1 - int(gl_FragCoord.y));
  int v = level(texelFetch(plane, at, 0));
  float gone = 0.0;
#ifdef FINE
  float x = tone(v);
#ifdef EDGES
  float sum = 0.0;
  for (int b = -1; b <= 1; b++) for (int a = -1; a <= 1; a++) sum += tone(level(raw(at + ivec2(a, b))));
  x = clamp(x + edges * (x - sum / 9.0), 0.0, 1.0);
#endif
#ifdef LOCAL
  x = mix(x, local_tone(x, turn * (vec2(at) + 0.5) + shift), local_share);
#endif
  x = pow(x, 1.0 / gamma);
#ifdef STRIP
  vec3 where = place_in_table(at);
  vec4 known = texture(classes, where.xy);
  gone = where.z * smoothstep(0.35, 0.7, strip == 1 ? known.r : known.b + known.a);
  x = mix(x, 1.0, 0.92 * gone);
#endif
  float grey = floor((inverse ? 1.0 - x : x) * 255.0 + 0.5) / 255.0;
#else
  float grey = texelFetch(greys, ivec2(v & 255, v >> 8), 0).r;
#endif
  vec3 rgb = vec3(grey);
#ifdef COLOUR
  vec3 spot = place_in_table(at);
  rgb *= mix(mix(vec3(0.8), texture(shades, spot.xy).rgb, spot.z), vec3(1.0), gone);
#endif
#ifdef MARK
  if (float(v) >= mark.x && float(v) <= mark.y) rgb = mix(rgb, MARK_COLOUR, 0.55);
#endif
  seen = vec4(rgb, 1.0);
}`;
