"""Answers computed once: kept, dropped in the order of their use, and shared by threads."""

import threading

import pytest

from plgops.lib.once import Once


def test_an_answer_is_computed_once_and_the_least_used_goes_first():
    once, computed = Once(2), []

    def ask(key):
        return once.get(key, lambda: computed.append(key) or f"answer to {key}")

    assert [ask(key) for key in ("a", "a", "b", "a")] == ["answer to a", "answer to a", "answer to b", "answer to a"]
    assert computed == ["a", "b"]
    ask("c")  # b was not asked for the longest
    assert (once.peek("a"), once.peek("b"), once.peek("c")) == ("answer to a", None, "answer to c")


def test_a_failure_is_not_kept():
    once = Once(1)
    with pytest.raises(ZeroDivisionError):
        once.get("key", lambda: 1 // 0)
    assert once.get("key", lambda: "fine now") == "fine now"


def test_threads_that_ask_together_wait_for_one_answer():
    once, computed, found = Once(4), [], []
    begun, go = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go.wait(5)
        computed.append(1)
        return "answer"

    threads = [threading.Thread(target=lambda: found.append(once.get("key", slow))) for _ in range(4)]
    threads[0].start()
    assert begun.wait(5)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(5)
    assert (found, computed) == (["answer"] * 4, [1])


def test_threads_that_wait_try_again_after_a_failure():
    once, found = Once(4), []
    begun, go = threading.Event(), threading.Event()

    def fails():
        begun.set()
        go.wait(5)
        raise ValueError("not today")

    def first():
        with pytest.raises(ValueError, match="not today"):
            once.get("key", fails)

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert begun.wait(5)
    threads.append(threading.Thread(target=lambda: found.append(once.get("key", lambda: "second"))))
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(5)
    assert found == ["second"]
