from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest
from tiny_onnx import tiny_model

from edgeseg.backends import timing, tuning
from edgeseg.backends.ort import GRAPH_LEVELS, GraphLevel, OrtBackend
from edgeseg.backends.remembered import default_cache
from edgeseg.backends.timing import Measured, Opener, measure, measured_from_json
from edgeseg.backends.tuning import Candidate, Tuning, autotune, choose
from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile, load_model
from edgeseg.types import Size


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures count as undisturbed, however busy the machine that runs the tests is."""
    monkeypatch.setattr(timing, "UNDISTURBED", 0.0)


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "tiny.onnx"))


@pytest.fixture
def candidate(model: ModelFile) -> Candidate:
    return Candidate("onnxruntime", model)


def opener(model: ModelFile) -> Opener:
    return lambda threads, level: OrtBackend(model, threads=threads, graph_level=level)


@pytest.mark.parametrize(
    ("timed", "cores", "live", "threads", "workers"),
    [
        ({1: 6.0}, 2, False, 1, 2),  # fast: a worker per core
        ({1: 6.0}, 16, True, 1, 8),  # and no more than eight
        ({1: 60.0, 2: 42.0}, 2, False, 1, 2),  # a file: 2 x 1 makes 33 a second, 1 x 2 makes 24
        ({1: 60.0, 2: 42.0}, 2, True, 2, 1),  # live: 42 ms is sooner
        ({1: 60.0, 2: 55.0}, 2, True, 1, 2),  # live: not worth it
        ({1: 60.0, 2: 30.0}, 2, False, 2, 1),  # equal rates: fewer frames in flight
        ({1: 200.0, 2: 110.0, 4: 60.0, 8: 55.0}, 8, True, 4, 2),
        ({1: 200.0, 2: 110.0, 4: 60.0, 8: 24.0}, 8, False, 8, 1),
    ],
)
def test_choice(
    timed: dict[int, float], cores: int, live: bool, threads: int, workers: int
) -> None:
    chosen = choose(Measured("all", timed), cores=cores, live=live)
    assert (chosen.threads, chosen.workers) == (threads, workers)
    assert chosen.network_ms == timed[threads]


def test_given_threads_and_workers_are_kept(candidate: Candidate, tmp_path: Path) -> None:
    cache = tmp_path / "t.json"
    chosen = autotune(candidate, live=False, threads=2, workers=3, cores=2, cache=cache)
    assert (chosen.threads, chosen.workers) == (2, 3)
    assert autotune(candidate, live=False, threads=1, cores=4, cache=cache).workers == 4
    assert autotune(candidate, live=False, workers=5, cores=2, cache=cache).workers == 5
    free = autotune(candidate, live=False, cores=2, cache=cache)
    assert (free.threads, free.workers) == (1, 2)  # what was asked for once is not the rule


def test_measuring_a_fast_network_is_short_and_tries_one_thread(model: ModelFile) -> None:
    started = time.perf_counter()
    measured = measure(opener(model), cores=2)
    assert time.perf_counter() - started < 1.5
    assert list(measured.network_ms) == [1]
    assert 0 < measured.network_ms[1] < timing.FAST_MS


def test_a_slow_network_is_tried_with_more_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "FAST_MS", 0.0)
    model = load_model(tiny_model(tmp_path / "big.onnx", size=Size(320, 240)))
    assert list(measure(opener(model), cores=2).network_ms) == [1, 2]
    assert list(measure(opener(model), cores=6).network_ms) == [1, 2, 4, 6]
    monkeypatch.setattr(timing, "BUDGET_S", 0.0)
    assert list(measure(opener(model), cores=6).network_ms) == [1]


def test_opening_takes_no_time_from_the_calls(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO compiled for longer than the budget and got one thread: half as fast."""
    monkeypatch.setattr(timing, "FAST_MS", 0.0)
    monkeypatch.setattr(timing, "BUDGET_S", 0.1)

    def slow(threads: int, level: GraphLevel) -> OrtBackend:
        time.sleep(0.15)
        return OrtBackend(model, threads=threads, graph_level=level)

    assert list(measure(slow, cores=2, levels=("all",)).network_ms) == [1, 2]
    monkeypatch.setattr(timing, "OPENING_S", 0.0)
    assert list(measure(slow, cores=2, levels=("all",)).network_ms) == [1]


def test_threads_come_before_graph_levels(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[int, str]] = []

    def timed(_: object, threads: int, level: GraphLevel, *__: object, **___: object) -> float:
        tried.append((threads, level))
        return (60.0 if level == GRAPH_LEVELS[0] else 45.0) / threads

    monkeypatch.setattr(timing, "_best_ms", timed)
    measured = measure(opener(model), cores=2)
    assert tried == [
        (1, GRAPH_LEVELS[0]),
        (2, GRAPH_LEVELS[0]),
        *((1, n) for n in GRAPH_LEVELS[1:]),
    ]
    assert measured.graph_level == GRAPH_LEVELS[1]
    assert measured.network_ms == {1: 45.0, 2: 22.5}


def test_the_second_time_comes_from_the_cache(
    candidate: Candidate, model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "deep" / "folder" / "tuning.json"
    first = autotune(candidate, live=False, cores=2, cache=cache)
    assert isinstance(first, Tuning)
    entries = json.loads(cache.read_text())
    (key,) = entries
    for part in (model.sha256, "onnxruntime", "2 cores"):
        assert part in key
    assert [p.name for p in cache.parent.iterdir()] == ["tuning.json"]

    def must_not(*args: object, **options: object) -> Measured:
        raise AssertionError("measured again")

    monkeypatch.setattr(tuning, "measure", must_not)
    assert autotune(candidate, live=False, cores=2, cache=cache) == first
    with pytest.raises(AssertionError, match="measured again"):
        autotune(candidate, live=False, cores=3, cache=cache)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1, 2]",
        '{"KEY": 5}',
        '{"KEY": {"graph_level": "all"}}',
        '{"KEY": {"graph_level": "bad", "network_ms": {"1": 2.0}}}',
        '{"KEY": {"graph_level": "all", "network_ms": {"x": 2.0}}}',
        '{"KEY": {"graph_level": "all", "network_ms": {"1": -1}}}',
        '{"KEY": {"graph_level": "all", "network_ms": {}}}',
        '{"KEY": {"graph_level": "all", "network_ms": [1]}}',
    ],
)
def test_a_damaged_cache_is_ignored_and_mended(
    candidate: Candidate, tmp_path: Path, content: str
) -> None:
    cache = tmp_path / "tuning.json"
    key = tuning._cache_key(candidate, 2, 0)
    cache.write_text(content.replace("KEY", key), encoding="utf-8")
    assert autotune(candidate, live=False, cores=2, cache=cache).threads == 1
    assert json.loads(cache.read_text())[key]["graph_level"] in ("all", "basic")


def test_figures_of_a_busy_machine_are_used_but_not_kept(
    candidate: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "UNDISTURBED", 2.0)
    cache = tmp_path / "tuning.json"
    found = autotune(candidate, live=False, cores=2, cache=cache)
    assert (found.threads, found.disturbed) == (1, True)
    assert 0 < found.alone_ms <= found.network_ms * 1.5, "CPU time, of the cheapest call"
    assert not cache.exists()


def test_a_call_costs_what_it_took_unless_others_had_the_processor() -> None:
    assert Measured("all", {1: 9.0, 2: 5.0}, cpu_ms=4.0).alone_ms == 9.0
    busy = Measured("all", {1: 9.0, 2: 5.0}, disturbed=True, cpu_ms=4.0)
    assert busy.alone_ms == 4.0
    assert measured_from_json(busy.to_json(), disturbed=True) == busy


def test_entries_of_other_models_are_kept(candidate: Candidate, tmp_path: Path) -> None:
    cache = tmp_path / "tuning.json"
    cache.write_text('{"other": {"graph_level": "all", "network_ms": {"1": 2.0}}}')
    autotune(candidate, live=False, cores=2, cache=cache)
    assert "other" in json.loads(cache.read_text())


def test_an_unwritable_cache_is_no_error(candidate: Candidate, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert autotune(candidate, live=False, cores=2, cache=in_the_way / "t.json").threads == 1
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert autotune(candidate, live=False, cores=2, cache=folder / "t.json").threads == 1
    folder.chmod(stat.S_IRWXU)


def test_the_cache_lies_in_the_user_s_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "edgeseg" / "tuning.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored by the XDG rules
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / ".cache" / "edgeseg" / "tuning.json"


def test_no_home_means_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert default_cache() is None


def test_a_model_that_does_not_load_says_so(model: ModelFile, tmp_path: Path) -> None:
    broken = ModelFile(model.path, model.spec, model.graph, "other", None, model.data[:-30])
    with pytest.raises(ModelError):
        autotune(Candidate("onnxruntime", broken), live=False, cores=2, cache=tmp_path / "t.json")
