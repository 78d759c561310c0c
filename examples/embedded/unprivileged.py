"""Become an ordinary user and end with the parent, then run a program. A script of its own.

Postgres refuses to run as root. This script runs between the caller and the server instead of a
function after ``fork``, so that a caller with threads is safe. It imports nothing of the package:
it is run as ``python -I unprivileged.py MODE SIGNAL program arguments...``.

Modes: ``same`` stays who it is. ``namespace`` enters a user namespace in which root is an ordinary
user: files keep their owner, and no directory has to be opened for others. ``nobody`` becomes the
uid of the user nobody. SIGNAL is sent by the kernel when the thread that started us ends; 0 is none.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_INNER_ID = 1000


def enter_user_namespace() -> None:
    """Enter a user namespace in which this process has no privilege. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{_INNER_ID} {gid} 1"),
        ("uid_map", f"{_INNER_ID} {uid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def become_nobody() -> None:
    """Drop to the uid and gid of the user nobody, without supplementary groups."""
    entry = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def end_with_parent(signal_number: int, parent: int) -> None:
    """Have the kernel signal us when our parent ends, also if it has ended already."""
    if signal_number == 0 or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        sys.exit("the process that started this server is gone")


def main(arguments: list[str]) -> None:
    """Change who we are, then replace this process by the program."""
    mode, signal_number, parent, *program = arguments
    if mode == "namespace":
        enter_user_namespace()
    elif mode == "nobody":
        become_nobody()
    # After the change of identity, which clears it.
    end_with_parent(int(signal_number), int(parent))
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
