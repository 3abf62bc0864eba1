/* How fine to draw while something moves: whole where pictures come fast enough, else at half resolution.

   What counts is the time from one picture to the next, the browser's own work included: without a
   graphics card putting canvas and page together costs as much as drawing. */

const SLOW_MS = 40; // a picture that takes longer is slow
const EASY_MS = 25; // coarse pictures that come so fast are worth another try at full resolution
const IDLE_MS = 20; // of the time until a picture is asked for, what counts at most: the hand may have paused

export class Pace {
  constructor() {
    this.slow = { fill: false, draw: false }; // both passes, or pass 2 alone
    this.mean = { fill: 0, draw: 0 }; // milliseconds of a whole picture
    this.coarse = { fill: 0, draw: 0 }; // milliseconds of a coarse one
    this.before = null; // the picture before this one in the same movement
  }

  /** Note a picture that was asked for at `asked` and is drawn `now`, in milliseconds. */
  note(kind, half, asked, now) {
    const { before } = this;
    if (before) this.learn(before.kind, before.half, now - asked + Math.min(asked - before.at, IDLE_MS));
    this.before = { kind, half, at: now };
  }

  learn(kind, half, took) {
    const means = half ? this.coarse : this.mean;
    means[kind] = means[kind] ? (means[kind] + took) / 2 : took;
    if (!half && means[kind] > SLOW_MS) this.slow[kind] = true;
  }

  /** Nothing moves any more. The next movement starts at full resolution if the last one was easily drawn. */
  rest() {
    for (const kind of Object.keys(this.slow)) {
      if (this.coarse[kind] && this.coarse[kind] < EASY_MS) this.slow[kind] = false;
      this.mean[kind] = this.coarse[kind] = 0;
    }
    this.before = null;
  }
}
