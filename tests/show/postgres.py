"""A real PostgreSQL with its own data folder, reached over a socket in it."""

import pathlib
import shutil
import sqlite3
import struct
import subprocess
import os

import psycopg

TABLES = ("jobs", "rounds", "measurements", "builds", "quarantined", "local_files")


class Postgres:
    """A server as Debian ships it, with durable commits."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.bin = max(pathlib.Path("/usr/lib/postgresql").iterdir()) / "bin"
        self.databases = 0
        # It refuses to run as root.
        self.user = (["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
                     if os.geteuid() == 0 else [])

    def _run(self, *command):
        done = subprocess.run([*self.user, *map(str, command)], cwd="/", text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr[-500:]}")

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        # Sockets have short names, and others may not look into our folders.
        self.folder.mkdir(parents=True)
        if self.user:
            shutil.chown(self.folder, "postgres")
        self._run(self.bin / "initdb", "-D", self.folder / "data", "-A", "trust", "-U", "evopress")
        self.start()
        return self

    def start(self):
        self._run(self.bin / "pg_ctl", "-D", self.folder / "data", "-w", "-l",
                  self.folder / "log", "-o", f"-k {self.folder} -c listen_addresses=''", "start")

    def stop(self, mode="fast"):
        self._run(self.bin / "pg_ctl", "-D", self.folder / "data", "-w", "-m", mode, "stop")

    def __exit__(self, *_):
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database="postgres"):
        return f"postgresql://evopress@/{database}?host={self.folder}"

    def create(self, template="template1"):
        """The URL of a new database, a copy of `template`."""
        self.databases += 1
        name = f"fleet{self.databases}"
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)


def name_of(url):
    return url.split("@/")[1].split("?")[0]


def copy_journal(path, url):
    """What a SQLite journal holds, into the empty tables of `url`."""
    old = sqlite3.connect(path)
    with psycopg.connect(url) as db:
        for table in TABLES:
            types = dict(db.execute(
                "SELECT column_name, data_type FROM information_schema.columns"
                " WHERE table_name = %s AND table_schema = current_schema()", [table]).fetchall())
            kept = [row[1] for row in old.execute(f"PRAGMA table_info({table})")
                    if row[1] in types and row[1] != "seq"]
            for row in old.execute(f"SELECT {', '.join(kept)} FROM {table}").fetchall():
                values = [convert(value, types[key]) for key, value in zip(kept, row, strict=True)]
                db.execute(f"INSERT INTO {table} ({', '.join(kept)}) VALUES "
                           f"({', '.join(['%s'] * len(kept))})", values)
    old.close()


def convert(value, kind):
    if kind == "bytea" and isinstance(value, str):
        return value.encode()
    return bool(value) if kind == "boolean" else value


def read_journal(url):
    """(rounds, measurements) as the SQLite journal has them."""
    with psycopg.connect(url) as db:
        rounds = db.execute("SELECT job, idx, round, results, history_hash FROM rounds"
                            " ORDER BY job, idx").fetchall()
        sums = db.execute("SELECT key, kl, topk_kl, nll, positions FROM measurements"
                          " ORDER BY key").fetchall()
    return rounds, [(key, struct.pack("<3d", *values), positions)
                    for key, *values, positions in sums]
