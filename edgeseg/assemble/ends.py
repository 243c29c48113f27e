"""Sources and sinks by name; each kind is imported when it is asked for."""

from __future__ import annotations

from edgeseg.config import RunConfig, SourceConfig
from edgeseg.errors import ConfigError
from edgeseg.protocols import Sink, Source
from edgeseg.video.sink_uri import SinkKind, parse_sink
from edgeseg.video.uri import SourceKind, classify


def open_source(config: SourceConfig) -> Source:
    """Opens the source a URI names. Raises SourceNotFound, SourceError, ConfigError."""
    kind = classify(config.uri)
    if kind is SourceKind.CAMERA:
        from edgeseg.video.camera import CameraSource

        return CameraSource(config)
    if kind is SourceKind.FILE:
        from edgeseg.video.files import FileSource

        return FileSource(config)
    if kind is SourceKind.IMAGES:
        from edgeseg.video.images import ImageSource

        return ImageSource(config)
    if kind is SourceKind.STREAM:
        from edgeseg.video.streams import StreamSource

        return StreamSource(config)
    if kind is SourceKind.GSTREAMER:
        from edgeseg.video.gst import GstSource

        return GstSource(config)
    from edgeseg.video.synthetic import SyntheticSource

    return SyntheticSource(config)


def make_sink(uri: str, config: RunConfig) -> Sink:
    """Makes, without opening it, the sink a name asks for. Raises SinkRefused."""
    kind, path = parse_sink(uri)
    if kind is SinkKind.VIDEO:
        from edgeseg.video.file_sink import FileSink

        return FileSink(path, config.output)
    if kind is SinkKind.IMAGES:
        from edgeseg.video.image_sink import ImageSequenceSink

        return ImageSequenceSink(path)
    if kind is SinkKind.MASKS:
        from edgeseg.video.masks_sink import MasksSink

        return MasksSink(path)
    if kind is SinkKind.CSV:
        from edgeseg.video.csv_sink import CsvSink

        return CsvSink(path)
    if kind is SinkKind.COCO:
        from edgeseg.video.coco_sink import CocoSink

        return CocoSink(path)
    if kind is SinkKind.WINDOW:
        from edgeseg.video.window import WindowSink

        return WindowSink()
    from edgeseg.video.null_sink import NullSink

    return NullSink()


def sink_uris(config: RunConfig) -> list[str]:
    """Returns the sinks of a run: those named, plus a window where one is wanted.

    Without any sink a window is shown; ``window: false`` then makes a run that only measures.
    """
    named = list(config.output.sinks)
    if config.output.window is False and "window://" in named:
        raise ConfigError("window:// is asked for, and no window (--no-window): leave one out")
    if config.output.window or (config.output.window is None and not named):
        named += [] if "window://" in named else ["window://"]
    return named or ["null://"]
