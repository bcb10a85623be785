#!/usr/bin/env python3
"""Hands out the tasks of a work list over HTTP and collects their results.

POST /next     -> 200 {"task", "seed", "samples"}, 204 when nothing is left to hand out
POST /result   <- {"task", "node", "inside", "samples"} -> 200
GET  /status   -> 200 {"tasks", "done"}

Results are appended to results.csv before they are acknowledged, so that a restart goes on where it stopped.
A task that was handed out but brought no result within LEASE seconds is handed out again.
"""

import argparse
import csv
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LEASE = 60.0


class WorkList:
    def __init__(self, folder: Path):
        self.lock = threading.Lock()
        self.leases = {}
        with open(folder / "tasks.csv", newline="") as file:
            self.tasks = {row["task"]: row for row in csv.DictReader(file)}
        self.path = folder / "results.csv"
        self.results = {}
        if self.path.exists():
            with open(self.path, newline="") as file:
                self.results = {row[0]: row for row in csv.reader(file)}

    def next(self):
        with self.lock:
            now = time.monotonic()
            for name, task in self.tasks.items():
                if name not in self.results and self.leases.get(name, 0.0) <= now:
                    self.leases[name] = now + LEASE
                    return {"task": name, "seed": int(task["seed"]), "samples": int(task["samples"])}
        return None

    def add(self, result):
        with self.lock:
            name = result["task"]
            if name not in self.tasks or name in self.results:
                return
            row = [name, result["node"], str(int(result["inside"])), str(int(result["samples"]))]
            with open(self.path, "a", newline="") as file:
                csv.writer(file).writerow(row)
            self.results[name] = row
            finished = len(self.results) == len(self.tasks)
        if finished:
            self.report()

    def report(self):
        inside = sum(int(row[2]) for row in self.results.values())
        samples = sum(int(row[3]) for row in self.results.values())
        nodes = {row[1] for row in self.results.values()}
        message = f"all {len(self.tasks)} tasks are done by {len(nodes)} nodes: pi is about {4 * inside / samples:.4f}"
        subprocess.run(["jetpack", "log", message, "--level", "info", "--priority", "high"], check=False)


class Handler(BaseHTTPRequestHandler):
    work: WorkList

    def do_GET(self):
        if self.path == "/status":
            self.answer(200, {"tasks": len(self.work.tasks), "done": len(self.work.results)})
        else:
            self.answer(404, {"error": f"there is no {self.path}"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/next":
            task = self.work.next()
            self.answer(200 if task else 204, task)
        elif self.path == "/result":
            self.work.add(json.loads(body))
            self.answer(200, {})
        else:
            self.answer(404, {"error": f"there is no {self.path}"})

    def answer(self, status, body):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *args):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", type=Path, required=True, help="folder with tasks.csv")
    parser.add_argument("--port", type=int, required=True, help="TCP port to listen on")
    arguments = parser.parse_args()
    Handler.work = WorkList(arguments.list)
    ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
