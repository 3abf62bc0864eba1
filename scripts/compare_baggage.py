"""Train our detail branch, torchvision's FCOS and its SSDlite from scratch on real baggage scans.

    python scripts/compare_baggage.py ../shared/data/baggage --minutes 8 --out runs/baggage

Every network gets the same processor time on one thread, the same scans, sizes, mirrorings, batch
and schedule; only the learning rate is its own. What counts is AP50 on the scans of ``val.json`` by
the COCO protocol, all ten classes together. No weights from elsewhere are loaded. Neither a scan
nor a network trained on one leaves the folder of the run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn
from torchvision.models.detection import FCOS, ssdlite320_mobilenet_v3_large
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import batched_nms

from nii.train.loss import box_loss, focal_loss
from nii.train.models.compact import DetailBranch
from nii.train.run import follow
from nii.train.targets import Grid, threat_targets

HEIGHT, WIDTH = 320, 512
"""Every scan is brought to fit into this, and padded with white."""
BATCH = 4
STRIDE = 4
MOST_BOXES = 100
LEAST_SCORE = 0.02
EMA_DECAY = 0.99


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold one scan at the size of the networks: RGB 0 to 1, its boxes, classes from 0, scale."""

    name: int
    pixels: np.ndarray
    boxes: np.ndarray
    kinds: np.ndarray
    scale: float


Found = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes, scores and classes."""


class Ours(nn.Module):
    """The detail branch of the compact network; the fourth channel says that all is valid."""

    def __init__(self, classes: int, width: int = 32) -> None:
        """Build it for so many classes."""
        super().__init__()
        self.branch = DetailBranch(width, 1, classes)
        self.classes = classes

    def maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat logits and distances."""
        four = torch.cat([1 - pixels, torch.ones_like(pixels[:, :1])], 1)
        heat, sides = self.branch(four)
        return heat, sides

    def loss(self, batch: list[Picture]) -> Tensor:
        """Return the loss of a batch."""
        grid = Grid(HEIGHT // STRIDE, WIDTH // STRIDE, STRIDE)
        wanted = [threat_targets(one.boxes, one.kinds, self.classes, grid) for one in batch]
        heat, sides = self.maps(stacked(batch))
        hills, ltrb, weight = (
            torch.from_numpy(np.stack([getattr(one, part) for one in wanted]))
            for part in ("centre", "ltrb", "weight")
        )
        return focal_loss(heat, hills) + box_loss(sides, ltrb, weight)

    def find(self, one: Picture) -> Found:
        """Return what is seen in one scan: peaks of the heat, each with its box."""
        heat, sides = (part[0] for part in self.maps(stacked([one])))
        score = heat.sigmoid()
        peak = score == nn.functional.max_pool2d(score[None], 3, 1, 1)[0]
        scores, places = (score * peak).flatten().topk(MOST_BOXES)
        kinds, cells = places // (score[0].numel()), places % score[0].numel()
        rows, columns = cells // score.shape[2], cells % score.shape[2]
        x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
        left, top, right, bottom = sides[:, rows, columns]
        boxes = torch.stack([x - left, y - top, x + right, y + bottom], 1)
        kept = batched_nms(boxes, scores, kinds, 0.5)
        return boxes[kept].numpy(), scores[kept].numpy(), kinds[kept].numpy()


class Theirs(nn.Module):
    """A detector of torchvision, whose classes begin at 1."""

    def __init__(self, network: nn.Module, first: int) -> None:
        """Keep the network and the number of its first class."""
        super().__init__()
        self.network, self.first = network, first

    def loss(self, batch: list[Picture]) -> Tensor:
        """Return the sum of its losses."""
        targets = [
            {
                "boxes": torch.from_numpy(one.boxes),
                "labels": torch.from_numpy(one.kinds + self.first),
            }
            for one in batch
        ]
        parts: dict[str, Tensor] = self.network(list(stacked(batch)), targets)
        return torch.stack(list(parts.values())).sum()

    def find(self, one: Picture) -> Found:
        """Return what is seen in one scan."""
        (seen,) = self.network([stacked([one])[0]])
        boxes, scores, kinds = (seen[part].numpy() for part in ("boxes", "scores", "labels"))
        return boxes[:MOST_BOXES], scores[:MOST_BOXES], kinds[:MOST_BOXES] - self.first


def fcos(classes: int) -> nn.Module:
    """Return torchvision's FCOS on a ResNet-18 with a feature pyramid, from scratch."""
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d
    )
    network = FCOS(
        backbone,
        classes,
        anchor_generator=None,
        min_size=HEIGHT,
        max_size=WIDTH,
        score_thresh=LEAST_SCORE,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
    )
    return Theirs(network, 0)


def ssdlite(classes: int) -> nn.Module:
    """Return torchvision's SSDlite on MobileNetV3, from scratch; it sees 320 x 320 pixels."""
    network = ssdlite320_mobilenet_v3_large(
        weights=None,
        weights_backbone=None,
        num_classes=classes + 1,
        score_thresh=LEAST_SCORE,
        trainable_backbone_layers=6,
    )
    return Theirs(network, 1)


NETWORKS: dict[str, tuple[Callable[[int], nn.Module], float]] = {
    "compact": (Ours, 2.5e-3),
    "fcos_resnet18": (fcos, 5e-4),
    "ssdlite320": (ssdlite, 1e-3),
}
"""Each with its learning rate: ours as in configs/, theirs an assumption; --rate tries others."""


def main(arguments: list[str]) -> int:
    """Train and measure each network in turn; print and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with images, train.json and val.json")
    parser.add_argument("--minutes", type=float, default=8.0, help="processor time of each; 8")
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--rate", type=float, help="learning rate instead of the network's own")
    parser.add_argument("--limit", type=int, help="as many scans of each set; all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/baggage"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    train, val = (
        pictures(options.data, f"{name}.json", options.limit) for name in ("train", "val")
    )
    classes = 1 + max(int(one.kinds.max(initial=0)) for one in train)
    options.out.mkdir(parents=True, exist_ok=True)
    place = options.out / "baggage.json"
    rows = json.loads(place.read_text("utf-8")) if place.is_file() else {}
    for name in options.networks:
        build, rate = NETWORKS[name]
        torch.manual_seed(options.seed)
        network = build(classes)
        average = build(classes)
        average.load_state_dict(network.state_dict())
        facts = taught(network, average, train, (options.minutes, options.rate or rate))
        ap50, ap = measured(average.eval(), val, options.data / "val.json")
        count = sum(one.numel() for one in network.parameters())
        rows[name] = facts | {"parameters": count, "ap50": round(ap50, 4), "ap": round(ap, 4)}
        print(name, rows[name], flush=True)
        place.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


def pictures(folder: Path, labels: str, limit: int | None) -> list[Picture]:
    """Read a set at the size of the networks."""
    data = json.loads((folder / labels).read_text("utf-8"))
    marked: dict[int, list[tuple[list[float], int]]] = {one["id"]: [] for one in data["images"]}
    for row in data["annotations"]:
        marked[row["image_id"]].append((row["bbox"], row["category_id"] - 1))
    return [
        _picture(folder / "images" / one["file_name"], one["id"], marked[one["id"]])
        for one in data["images"][:limit]
    ]


def _picture(path: Path, name: int, rows: list[tuple[list[float], int]]) -> Picture:
    read = cv2.imread(str(path))
    if read is None:
        sys.exit(f"cannot read {path}")
    scale = min(HEIGHT / read.shape[0], WIDTH / read.shape[1])
    size = min(WIDTH, round(read.shape[1] * scale)), min(HEIGHT, round(read.shape[0] * scale))
    pixels = np.full((3, HEIGHT, WIDTH), 255, np.uint8)
    small = cv2.resize(read[:, :, ::-1], size, interpolation=cv2.INTER_AREA)
    pixels[:, : size[1], : size[0]] = small.transpose(2, 0, 1)
    boxes = np.asarray([box for box, _ in rows], np.float32).reshape(-1, 4) * np.float32(scale)
    boxes[:, 2:] += boxes[:, :2]
    kinds = np.asarray([kind for _, kind in rows], np.int64)
    return Picture(name, pixels, boxes, kinds, scale)


def stacked(batch: list[Picture]) -> Tensor:
    """Return the pixels of a batch, 0 to 1."""
    return torch.from_numpy(np.stack([one.pixels for one in batch])).float() / 255


def mirrored(one: Picture, rng: np.random.Generator) -> Picture:
    """Return a picture, mirrored left to right and top to bottom by chance."""
    pixels, boxes = one.pixels, one.boxes.copy()
    if rng.random() < 0.5:  # noqa: PLR2004 - a coin
        pixels, boxes = pixels[:, :, ::-1], boxes[:, [2, 1, 0, 3]]
        boxes[:, [0, 2]] = WIDTH - boxes[:, [0, 2]]
    if rng.random() < 0.5:  # noqa: PLR2004 - a coin
        pixels, boxes = pixels[:, ::-1], boxes[:, [0, 3, 2, 1]]
        boxes[:, [1, 3]] = HEIGHT - boxes[:, [1, 3]]
    return Picture(one.name, np.ascontiguousarray(pixels), boxes, one.kinds, one.scale)


def batches(train: list[Picture], seed: int) -> Iterator[list[Picture]]:
    """Yield batches for ever, every scan once an epoch."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(train))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield [mirrored(train[row], rng) for row in order[start : start + BATCH]]


def taught(
    network: nn.Module, average: nn.Module, train: list[Picture], budget: tuple[float, float]
) -> dict[str, float]:
    """Train for so much processor time, with warm-up, cosine and a moving average."""
    minutes, rate = budget
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    began, wall, steps, share = time.process_time(), time.perf_counter(), 0, 0.0
    network.train()
    for batch in batches(train, 0):
        share = (time.process_time() - began) / (60 * minutes)
        if share >= 1:
            break
        now = rate * min(1, (steps + 1) / 30) * (1 + math.cos(math.pi * share)) / 2
        for group in optimiser.param_groups:
            group["lr"] = now
        loss = network.loss(batch)  # type: ignore[operator]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        steps += 1
        follow(average, network, min(EMA_DECAY, (1 + steps) / (10 + steps)))
        if steps % 25 == 0:
            print(f"{share:.0%} step {steps} loss {loss:.3f}", file=sys.stderr, flush=True)
    return {
        "steps": steps,
        "epochs": round(steps * BATCH / len(train), 2),
        "cpu_s": round(time.process_time() - began, 1),
        "wall_s": round(time.perf_counter() - wall, 1),
        "learning_rate": rate,
    }


def measured(network: nn.Module, val: list[Picture], labels: Path) -> tuple[float, float]:
    """Return AP50 and AP50:95 by the COCO protocol."""
    rows = []
    with torch.no_grad():
        for one in val:
            found = network.find(one)  # type: ignore[operator]
            for box, score, kind in zip(*found, strict=True):
                x0, y0, x1, y1 = (float(edge) / one.scale for edge in box)
                rows.append(
                    {
                        "image_id": one.name,
                        "category_id": int(kind) + 1,
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "score": float(score),
                    }
                )
    if not rows:
        return 0.0, 0.0
    truth = COCO(str(labels))
    judge = COCOeval(truth, truth.loadRes(rows), "bbox")
    judge.params.imgIds = [one.name for one in val]
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return float(judge.stats[1]), float(judge.stats[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
