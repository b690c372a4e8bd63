"""Resolve the Java parts: Maven copies them into the cache, the committed lock says what they are.

Each *set* is one folder, one class path: ``kafka``, ``iceberg-sink``, ``registry``, ``spark`` and
``jmx-exporter``, and
``connect-plugin``, our own converter and transforms, compiled from ``stack/java``.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.stack.java import find_javac, find_maven

HERE = Path(__file__).parent
POM = HERE / "maven/pom.xml"
LOCK = HERE / "maven/jars.lock"
JAVA_SOURCES = HERE / "java"
JMX_SET = "jmx-exporter"
MAVEN_SETS = ("kafka", "iceberg-sink", "registry", "spark", JMX_SET)
PLUGIN_SET = "connect-plugin"

JarLock = Mapping[str, Mapping[str, str]]
"""Set name to file name to sha256."""


def resolve_jars(
    cache: Path, sets: Iterable[str], java_home: Path | None = None
) -> dict[str, Path]:
    """Make sure that the sets lie in the cache, as locked.

    Args:
        cache: folder that outlives homes.
        sets: names out of ``MAVEN_SETS`` and ``PLUGIN_SET``.
        java_home: the JDK to compile with, if not the one on PATH.

    Returns:
        Set name to its folder.

    Raises:
        UsageError: Maven or a JDK is missing.
        GuardianError: Maven failed, or a file is not the locked one.
    """
    folder = cache.expanduser() / "java"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        return {name: _resolve(folder, name, java_home) for name in sets}


def read_lock(text: str) -> JarLock:
    """Parse the lock file: lines of ``sha256  set/file``."""
    lock: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        digest, _, path = line.partition("  ")
        name, _, file = path.partition("/")
        lock.setdefault(name, {})[file] = digest
    return lock


def write_lock(cache: Path) -> str:
    """Resolve every Maven set anew and return the lock file's text."""
    lines = []
    for name in MAVEN_SETS:
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            _copy_by_maven(name, Path(temporary))
            files = sorted(Path(temporary).iterdir())
            lines += [f"{sha256(file)}  {name}/{file.name}" for file in files]
    return "\n".join(lines) + "\n"


def check_files(name: str, folder: Path, locked: Mapping[str, str]) -> None:
    """Compare a folder with its lock.

    Raises:
        GuardianError: a file is missing, unknown, or another one than locked.
    """
    found = {file.name: sha256(file) for file in folder.iterdir()}
    wrong = sorted(
        file for file in found.keys() | locked.keys() if found.get(file) != locked.get(file)
    )
    if wrong:
        raise GuardianError(
            f"{len(wrong)} file(s) of the Java set {name!r}, such as {wrong[0]}, differ from "
            f"{LOCK.name}; delete the cache folder and check the Maven repository in use."
        )


def sha256(file: Path) -> str:
    """Hex digest of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _resolve(folder: Path, name: str, java_home: Path | None = None) -> Path:
    if name == PLUGIN_SET:
        return _plugin(folder, java_home)
    lock = read_lock(LOCK.read_text())[name]
    key = hashlib.sha256(repr(sorted(lock.items())).encode()).hexdigest()[:16]
    target = folder / f"{name}-{key}"
    if not target.exists():
        with _fresh(target) as fresh:
            _copy_by_maven(name, fresh)
            check_files(name, fresh, lock)
            _unpack(fresh)
    return target


def _copy_by_maven(name: str, target: Path) -> None:
    command = [
        *(str(find_maven()), "-B", "-q", "-ntp", "-f", str(POM), f"-P{name}"),
        *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        errors = [line for line in run.stdout.splitlines() if "ERROR" in line] or ["no message"]
        raise GuardianError(
            f"Maven could not resolve the Java set {name!r} ({errors[0].strip()}); "
            "check the network and the mirror in Maven's settings.xml."
        )


def _unpack(folder: Path) -> None:
    for archive in folder.glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        archive.unlink()


def _plugin(folder: Path, java_home: Path | None) -> Path:
    """Compile our Connect classes; the folder is keyed by sources and class path."""
    digest = hashlib.sha256(LOCK.read_bytes())
    for source in _sources("*.*"):
        digest.update(source.read_bytes())
    target = folder / f"{PLUGIN_SET}-{digest.hexdigest()[:16]}"
    if not target.exists():
        libraries = [_resolve(folder, "kafka"), _resolve(folder, "iceberg-sink")]
        with _fresh(target) as fresh:
            _compile(find_javac(java_home), libraries, fresh)
    return target


def _compile(javac: Path, libraries: list[Path], target: Path) -> None:
    class_path = ":".join(f"{library}/*" for library in libraries)
    with tempfile.TemporaryDirectory() as classes:
        run = subprocess.run(
            [
                *(str(javac), "-Xlint:all,-path,-classfile", "-Werror", "--release", "17"),
                *("-proc:none", "-d", classes, "-cp", class_path),
                *map(str, _sources("*.java")),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise GuardianError(f"The Connect plugin does not compile: {run.stderr.strip()}")
        with zipfile.ZipFile(target / "guardian-connect.jar", "w") as jar:
            for file in sorted(Path(classes).rglob("*.class")):
                jar.write(file, file.relative_to(classes))
            for file in sorted((JAVA_SOURCES / "META-INF/services").iterdir()):
                jar.write(file, file.relative_to(JAVA_SOURCES))


def _sources(pattern: str) -> list[Path]:
    return sorted(file for file in JAVA_SOURCES.rglob(pattern) if file.is_file())


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """A temporary folder that takes its final name only when it is complete."""
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
