"""kill -9 of each server under load: it comes back by itself, and nothing is lost."""

from __future__ import annotations

import time

import pytest

from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.stack.repair import remove_repeats
from tests.cluster.world import World, made_clicks, wait_for


def settle(world: World, victim: str, seconds: dict[str, float], sent: int, before: int) -> None:
    """Nothing missing; repeats counted, printed and repaired."""
    found = world.wait_landed()["clicks.v1"]
    times = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    print(f"kill -9 of {victim}: {sent:,} sent, 0 missing, {found.repeated} repeated; {times}")
    assert found.messages - before == sent
    removed = remove_repeats(world.lake)
    assert removed["clicks"] + removed["rejected"] >= found.repeated
    assert world.audit()["clicks.v1"].repeated == 0


def test_partition_leader_killed(world: World) -> None:
    before = world.wait_landed()["clicks.v1"].messages
    victim = world.leader("clicks.v1")
    with world.traffic() as traffic:
        wait_for(lambda: traffic.producer.acknowledged > 4000, 30)
        world.kill(victim)
        time.sleep(12)
        wait_for(lambda: traffic.stalled_now < 1, 60)
    seconds = {"longest wait for an ack": traffic.longest_stall}
    settle(world, f"{victim}, a leader", seconds, traffic.sent, before)


def test_connect_worker_killed(world: World) -> None:
    before = world.wait_landed()["clicks.v1"].messages
    with world.traffic() as traffic:
        wait_for(lambda: traffic.producer.acknowledged > 8000, 30)
        at = world.landed()
        wait_for(lambda: world.landed() > at, 60)
        world.kill("connect")
        at, killed = world.landed(), time.monotonic()
        wait_for(lambda: world.landed() > at, 120)
        landing = time.monotonic() - killed
    settle(world, "Connect", {"next commit after": landing}, traffic.sent, before)


def test_registry_killed(world: World) -> None:
    before = world.wait_landed()["clicks.v1"].messages
    with world.traffic() as traffic:
        wait_for(lambda: traffic.producer.acknowledged > 4000, 30)
        world.kill("registry")
        wait_for(lambda: not world.registry_answers(), 10)
        back = wait_for(world.registry_answers, 60)
    seconds = {"answers again after": back, "longest wait for an ack": traffic.longest_stall}
    settle(world, "the registry", seconds, traffic.sent, before)


def test_s3_killed(world: World) -> None:
    before = world.wait_landed()["clicks.v1"].messages
    with world.traffic() as traffic:
        wait_for(lambda: traffic.producer.acknowledged > 8000, 30)
        world.kill("s3")
        killed = time.monotonic()
        time.sleep(1)
        at = 0

        def commits_again() -> bool:
            nonlocal at
            try:
                now = world.landed()
            except Exception:
                return False
            at = at or now
            return now > at

        wait_for(commits_again, 150)
        landing = time.monotonic() - killed
    settle(world, "the S3 server", {"next commit after": landing}, traffic.sent, before)


@pytest.mark.timeout(300)
def test_connect_without_registry_dead_letters_no_good_record(world: World) -> None:
    before = world.wait_landed()["clicks.v1"]
    producer = world.producer()
    world.stop("registry")
    world.kill("connect")
    with producer:
        producer.send(CLICK, made_clicks(5000, seed=7))
    time.sleep(2)
    wait_for(world.connectors_run, 90)
    time.sleep(8)
    waiting = world.audit()["clicks.v1"]
    world.start("registry")
    after = world.wait_landed()["clicks.v1"]
    print(f"registry away: {waiting.missing} waited, {after.rejected - before.rejected} rejected")
    assert waiting.missing == 5000
    assert after.rejected == before.rejected
