"""The plugin's sources are checked with the types of 11.6 when it is built; here with those of 13."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.browser.built_host import PLUGIN, built_host, modules_of


def test_the_sources_fit_the_types_of_grafana_13(tmp_path: Path) -> None:
    modules = modules_of(built_host("newest"))
    shutil.copytree(PLUGIN / "src", tmp_path / "src")
    (tmp_path / "node_modules").symlink_to(modules)
    options = {
        "strict": True,
        "noEmit": True,
        "jsx": "react",
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "lib": ["es2022", "dom", "dom.iterable"],
        "esModuleInterop": True,
        "skipLibCheck": True,
        "types": [],
    }
    project = {"compilerOptions": options, "files": ["src/module.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    compiler = str(modules / "typescript/bin/tsc")
    checked = subprocess.run(
        ["node", compiler, "--project", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert checked.returncode == 0, checked.stdout
