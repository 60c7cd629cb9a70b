"""A small picture of a scan, taken from its report; see `itermask.results.report.thumbnails`."""

from itermask.results.report.thumbnails import KEPT, LARGEST, ROW, SIDE, _thumbnail, choose_tile, thumbnail

__all__ = ["KEPT", "LARGEST", "ROW", "SIDE", "_thumbnail", "choose_tile", "thumbnail"]
