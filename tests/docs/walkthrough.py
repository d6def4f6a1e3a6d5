"""Plays a page of the documentation: writes its files, runs its commands, and compares what they print.

A file is a fenced block after a line that names it (```` `orders.yaml`: ````). Commands are the lines of ``console``
blocks that begin with ``$ ``; the lines after one are its output, in which ``…`` stands for anything on that line.
All of it but for scripts happens in this process and on one Prefect server, both of which take long to start.

``python tests/docs/walkthrough.py docs/your-own-data.md docs/model-server.md`` plays the pages one after the other and
writes their outputs into them anew.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prefect.testing.utilities import prefect_test_harness

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

from certificates import Authority

from deployments.processes import free_port
from flywheel.cli import main
from flywheel.registry.store import Registry
from flywheel.serving.server import ModelServer
from flywheel.serving.settings import ServerAccess
from flywheel.workspace import Workspace

_FENCE = re.compile(r"^(?:`(?P<file>[\w./-]+)`:\n\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_SERVER = "127.0.0.1:50051"
_SECOND_SERVER = "127.0.0.1:50052"


@dataclass(frozen=True)
class File:
    name: str
    text: str


@dataclass(frozen=True)
class Command:
    line: str
    output: str


def steps(page: str) -> list[File | Command]:
    """Return the files and the commands of a page in their order."""
    found: list[File | Command] = []
    for fence in _FENCE.finditer(page):
        if fence["file"]:
            found.append(File(fence["file"], fence["text"]))
        elif fence["language"] == "console":
            found += _commands(fence["text"])
    return found


def _commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def play(page: str, folder: Path, model_server: str) -> list[str]:
    """Run a page in ``folder``, on the Prefect server that is set, and return what its commands printed.

    Its model server listens on ``model_server``, whatever address the page says, and a second one on a free port.
    """
    outputs = []
    page = page.replace(_SECOND_SERVER, f"127.0.0.1:{free_port()}")
    with contextlib.chdir(folder), contextlib.ExitStack() as background:
        for step in steps(page.replace(_SERVER, model_server)):
            if isinstance(step, File):
                Path(step.name).write_text(step.text, encoding="utf-8")
            else:
                outputs.append(_run(step.line, model_server, background).replace(model_server, _SERVER))
    return outputs


def _run(line: str, model_server: str, background: contextlib.ExitStack) -> str:
    program, *arguments = shlex.split(line, comments=True)
    if arguments[:1] == ["serve-models"]:
        given = dict(zip(arguments[1::2], arguments[2::2], strict=True))
        background.enter_context(_server(given.pop("--address", model_server), given))
        return ""
    if program == "openssl":
        _make_certificate(arguments)
        return ""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if program == "flywheel":
            _call(arguments)
        elif program == "python3":
            # A process of its own: Prefect's threads in this one draw from the generator that a script has seeded.
            print(subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout)
        else:
            raise ValueError(f"a page must not ask for {program}")
    lines = [text.rstrip() for text in printed.getvalue().rstrip().splitlines()]
    return "".join(f"{text}\n" for text in lines)


def _server(address: str, given: dict[str, str]) -> ModelServer:
    settings = {"--tls-certificate": "certificate_file", "--tls-key": "key_file", "--token-file": "token_file"}
    access = ServerAccess(**{f"model_server_{settings[option]}": value for option, value in given.items()})
    workspace = Workspace()
    registry = Registry(workspace.database(), workspace.storage(), f"{workspace.lake}/models")
    return ModelServer(registry, address, poll_seconds=0.2, access=access)


def _make_certificate(arguments: list[str]) -> None:
    """What the page's openssl does, where there may be none."""
    if shutil.which("openssl"):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
        return
    given = dict(itertools.pairwise(arguments))
    made = Authority(Path.cwd(), "own").sign("models")
    Path(given["-keyout"]).write_bytes(made.key_file.read_bytes())
    Path(given["-out"]).write_bytes(made.file.read_bytes() + Path("own.pem").read_bytes())


def _call(arguments: list[str]) -> None:
    try:
        main(arguments)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"flywheel {shlex.join(arguments)} ended with {end.code}") from end


def matches(expected: str, got: str) -> bool:
    """Whether an output is what the page says, where ``…`` stands for anything on its line."""
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, got) is not None


def updated(page: str, outputs: list[str]) -> str:
    """Return the page with these outputs; one that still matches is kept as it is."""
    left = iter(outputs)

    def block(fence: re.Match[str]) -> str:
        if fence["file"] or fence["language"] != "console":
            return fence[0]
        parts = []
        for command in _commands(fence["text"]):
            output = next(left)
            parts.append(f"$ {command.line}\n{command.output if matches(command.output, output) else output}")
        return f"```console\n{''.join(parts)}```"

    return _FENCE.sub(block, page)


def _update(names: list[str]) -> None:
    pages = {Path(name): Path(name).read_text(encoding="utf-8") for name in names}
    with prefect_test_harness(server_startup_timeout=120), tempfile.TemporaryDirectory() as made:
        answers = play("\n".join(pages.values()), Path(made), f"127.0.0.1:{free_port()}")
    for path, before in pages.items():
        count = sum(isinstance(step, Command) for step in steps(before))
        path.write_text(updated(before, answers[:count]), encoding="utf-8")
        answers = answers[count:]


if __name__ == "__main__":
    _update(sys.argv[1:])
