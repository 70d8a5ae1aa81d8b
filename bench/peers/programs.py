"""The programs that benches run, and the processor they run on."""
import json
import platform
import subprocess
import sys


def run(command):
    """What it says on standard output and on standard error; ends this program where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: failed\n{done.stderr[-2000:]}")
    return done.stdout, done.stderr


def run_json(command):
    """The JSON that it says."""
    return json.loads(run(command)[0])


def said_version(command, word):
    """The first line that it says with the word in it."""
    said = subprocess.run(command, capture_output=True, text=True)
    return next((line.strip() for line in (said.stdout + said.stderr).splitlines() if word in line), "")


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())
