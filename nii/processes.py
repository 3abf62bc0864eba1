"""Processes of a pool: they leave Ctrl-C to the one that started them, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def follow_parent() -> None:
    """Let this process of a pool end when its parent is gone, also by kill -9.

    Ctrl-C reaches every process of a terminal; here it is ignored, since the parent ends the work
    in order. To be called in the main thread, once, before anything else.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
