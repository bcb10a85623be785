#!/usr/bin/env python3
"""Pulls tasks from a work server, works on them, and brings the results back."""

import argparse
import json
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request

PATIENCE = 300.0  # seconds to wait for a scheduler that is not up yet


def log(message, level="info", priority="medium"):
    subprocess.run(["jetpack", "log", message, f"--level={level}", f"--priority={priority}"], check=False)


def post(url, body, deadline):
    while True:
        try:
            request = urllib.request.Request(url, json.dumps(body).encode(), method="POST")
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except OSError as error:
            if time.monotonic() > deadline:
                log(f"the work server does not answer: {error}", level="error")
                sys.exit(1)
            time.sleep(0.5)


def estimate(seed, samples):
    """Counts the random points of the unit square that lie inside the quarter circle."""
    generator = random.Random(seed)
    return sum(generator.random() ** 2 + generator.random() ** 2 <= 1.0 for _ in range(samples))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="URL of the work server")
    parser.add_argument("--node", required=True, help="name of this node")
    arguments = parser.parse_args()
    done = 0
    while True:
        deadline = time.monotonic() + PATIENCE
        status, body = post(f"{arguments.server}/next", {}, deadline)
        if status == 204:
            break
        task = json.loads(body)
        inside = estimate(task["seed"], task["samples"])
        result = {"task": task["task"], "node": arguments.node, "inside": inside, "samples": task["samples"]}
        post(f"{arguments.server}/result", result, deadline)
        done += 1
    if done:
        log(f"{arguments.node} finished {done} tasks")
    else:
        log(f"{arguments.node} found no work left", level="warn", priority="low")


if __name__ == "__main__":
    main()
