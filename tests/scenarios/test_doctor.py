"""The doctor finds what is wrong with a home and names the remedy; a sound home is sound."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from .conftest import Guardian


def findings(guardian: Guardian, code: int, **extra: str) -> dict[str, dict[str, str]]:
    out = guardian.run("doctor", "--json", code=code, **extra).stdout
    return {(one := json.loads(line))["what"]: one for line in out.splitlines()}


def test_troubles_are_found_and_a_sound_home_is_sound(
    guardian: Guardian, small_shop: Path, tmp_path: Path
) -> None:
    ports = {"GUARDIAN_API_PORT": "0", "GUARDIAN_DASHBOARD_PORT": "0"}
    guardian.run("replay", "--clicks", str(small_shop / "yoochoose-clicks.dat"))
    sound = findings(guardian, 0, **ports)
    assert {one["state"] for one in sound.values()} == {"ok"}
    assert len(sound) >= 10

    (tmp_path / "bad.yaml").write_text("rule: BAD\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = ports | {
            "GUARDIAN_API_PORT": str(taken.getsockname()[1]),
            "GUARDIAN_RULES_DIR": str(tmp_path),
            "GUARDIAN_ALERT_CHANNELS": "nonsense://x",
        }
        ill = findings(guardian, 1, **wrong)
        guardian.run("batch", "--dirty", code=2, **wrong)
    assert findings(guardian, 1, **ports)["batch"]["state"] == "trouble"
    troubles = {what for what, one in ill.items() if one["state"] == "trouble"}
    assert {"API port", "rules", "alert channels"} <= troubles
    assert all(ill[what]["remedy"] for what in troubles)
