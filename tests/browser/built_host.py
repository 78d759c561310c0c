"""The page that plays Grafana's front end, bundled from npm packages into a folder that is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "provisioning/grafana/plugins/celerytrail-app"
HOST = Path(__file__).parent / "host"
_CACHES = (
    ROOT / "build/plugin-host",
    Path(tempfile.gettempdir()) / f"celerytrail-plugin-host-{os.getuid()}",
)
_INSTALL_SECONDS = 220
_BUILD_SECONDS = 60


def built_host(version: str) -> Path:
    """Return the folder of the bundled page; ``modules_of`` gives the packages it was made from.

    ``version`` is ``newest`` or ``oldest``. It is made once for each lock file and content of the
    page, in ``build/plugin-host`` of the checkout, or a folder of the user where that cannot be
    written. Skips the test where there is no Node, or the packages cannot be installed.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no Node.js here, which bundles the page that plays Grafana")
    packages_name = f"{version}-{_digest(HOST / version / 'package-lock.json')}"
    site_name = f"site-{_digest(*sorted(HOST.glob('src/*')), HOST / 'build.mjs')}"
    for cache in _CACHES:
        if (cache / packages_name / site_name).is_dir():
            return cache / packages_name / site_name
    packages = _writable_cache() / packages_name
    if not packages.is_dir():
        _install(npm, HOST / version, packages)
    scratch = Path(tempfile.mkdtemp(dir=packages, prefix="building-"))
    _run([node, "build.mjs", str(packages / "node_modules"), str(scratch)], HOST, _BUILD_SECONDS)
    _publish(scratch, packages / site_name)
    return packages / site_name


def icons_of(site: Path) -> Path:
    """Return the folder of Grafana's icons, which its page fetches one by one."""
    return site.parent / "node_modules/@grafana/ui/dist/public/img/icons"


def modules_of(site: Path) -> Path:
    """Return the packages that a page was bundled from."""
    return site.parent / "node_modules"


def _install(npm: str, project: Path, packages: Path) -> None:
    scratch = Path(tempfile.mkdtemp(dir=packages.parent, prefix="installing-"))
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(project / name, scratch / name)
    try:
        _run([npm, "ci", "--ignore-scripts"], scratch, _INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        shutil.rmtree(scratch, ignore_errors=True)
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        pytest.skip(
            f"npm could not install the packages of the page: {(said or ['no answer'])[-1]}"
        )
    _publish(scratch, packages)


def _writable_cache() -> Path:
    for cache in _CACHES:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(cache, os.W_OK):
            return cache
    pytest.fail("neither the checkout nor the directory for temporary files can be written")


def _publish(scratch: Path, final: Path) -> None:
    """Give a finished folder its name; another run may have been faster, then its folder stays."""
    scratch.chmod(0o755)
    try:
        scratch.rename(final)
    except OSError:
        if not final.is_dir():
            raise
        shutil.rmtree(scratch, ignore_errors=True)


def _run(command: list[str], folder: Path, seconds: float) -> None:
    subprocess.run(command, cwd=folder, timeout=seconds, check=True, capture_output=True)


def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
