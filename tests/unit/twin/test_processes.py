"""Real processes: a web server and workers that are started, killed and stopped as they are in use."""

import os
import signal
from pathlib import Path

import pytest

from tests.processes import PATIENCE_S, descendants, is_alive, post_run, stat

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in Linux's /proc"),
]


def test_a_run_outlives_its_pool_process_and_its_worker_and_is_completed_once(new_home):
    home = new_home(1)
    serve = home.serve()
    first = home.next_solver()
    os.kill(first, signal.SIGKILL)
    second = home.next_solver(first)
    assert home.runs() == [("running", 2, "")]
    worker = stat(second)[1]
    os.kill(worker, signal.SIGKILL)
    home.next_solver(first, second)
    assert home.runs() == [("running", 3, "")]
    assert not is_alive(second)  # the orphan of the killed worker does not go on solving
    home.wait_until_open()
    web = next(pid for pid in descendants(serve.pid) if b"twin.wsgi" in Path(f"/proc/{pid}/cmdline").read_bytes())
    web = web if stat(web)[1] == serve.pid else stat(web)[1]  # the process that started the one that answers
    os.kill(web, signal.SIGKILL)
    home.wait_for(lambda: "The web server ended with -9; a restart follows" in home.log(), "the notice of it")
    home.go()
    home.wait_for(lambda: home.runs() == [("done", 3, "")], "the end of the run")
    home.wait_for(home.is_answered, "the restart of the web server")
    everybody = descendants(serve.pid)
    assert len(everybody) >= 4  # web server and its process, worker and its process
    serve.send_signal(signal.SIGINT)
    assert serve.wait(PATIENCE_S) == 0
    assert [pid for pid in everybody if is_alive(pid)] == []


def test_stopping_leaves_no_process_and_no_run_that_only_seems_to_run(new_home):
    home = new_home(2)
    serve = home.serve()
    home.wait_until_open()
    solver = home.next_solver()
    running = home.api("GET", "runs/?status=running")["results"]
    assert [run["stage"] for run in running] == ["waiting"]
    home.api("DELETE", f"runs/{running[0]['id']}/")
    home.wait_for(lambda: home.runs()[0][0] == "cancelled", "the cancellation")
    home.wait_for(lambda: home.runs()[1][0] == "running", "the next run")
    everybody = descendants(serve.pid) | {solver}
    serve.send_signal(signal.SIGINT)
    assert serve.wait(PATIENCE_S) == 0
    assert [pid for pid in everybody if is_alive(pid)] == []
    assert home.runs()[1] == ("queued", 1, "restarted because its worker ended")
    home.go()
    again = home.serve()
    home.wait_for(lambda: home.runs()[1] == ("done", 2, ""), "the rest of the work at the next start")
    assert "1 unfinished run(s) resumed." in home.log()
    home.wait_until_open()
    everybody = descendants(again.pid)
    again.kill()  # not even this leaves anybody behind
    home.wait_for(lambda: not any(is_alive(pid) for pid in everybody), "the end of the children")


def test_a_second_server_on_the_same_home_is_refused(new_home):
    home = new_home(0)
    home.serve()
    home.wait_until_open()
    second = home.serve()
    assert second.wait(PATIENCE_S) == 1
    assert "another one runs already on" in home.log()


def test_an_address_for_other_machines_needs_allowed_hosts(new_home):
    home = new_home(0)
    for bind, reason in (
        ("0.0.0.0:8000", "say under which names in DJANGO_ALLOWED_HOSTS"),
        ("127.0.0.1:port", "is not an address; write ADDR:PORT"),
    ):
        ended = home.start("manage.py", "serve", bind)
        assert ended.wait(PATIENCE_S) == 1
        assert reason in home.log().splitlines()[-1]


def test_lost_messages_of_the_embedded_broker_are_sent_again(new_home):
    home = new_home(0, TWIN_RING_EVERY_S="1")
    home.serve()
    home.wait_until_open()
    post_run(home)
    home.next_solver()
    post_run(home)
    for message in (home.path / "broker" / "queue").iterdir():
        message.unlink()
    home.go()
    home.wait_for(lambda: [run[:2] for run in home.runs()] == [("done", 1), ("done", 1)], "the end of both runs")
