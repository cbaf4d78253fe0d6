"""The files of deploy/ that other systems read."""

import re
import shutil
import sys

from tests.show.harness import ROOT, Outcome
from tests.show.service import run

WANTED = {"StatefulSet", "Deployment", "Service", "ConfigMap", "Secret", "PodDisruptionBudget",
          "HorizontalPodAutoscaler", "NetworkPolicy"}


def kubernetes(data):
    """Kubernetes: every file of deploy/kubernetes validates against the schemas."""
    kinds, bad = set(), []
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml")):
        code, out, err = run(sys.executable, "-m", "kubernetes_validate", "--strict", path,
                             check=False)
        kinds |= set(re.findall(r"^kind: (\w+)", path.read_text(), re.MULTILINE))
        if code != 0:
            bad.append(f"{path.name}: {(out + err).strip()[-200:]}")
    return Outcome(not bad and kinds >= WANTED,
                   f"{', '.join(sorted(kinds))}; refused: {'; '.join(bad) or 'none'}",
                   f"none refused, all of {', '.join(sorted(WANTED))}")


def systemd(data):
    """systemd: the units of deploy/systemd verify, and expose little."""
    tool = shutil.which("systemd-analyze")
    if not tool:
        raise RuntimeError("no systemd-analyze on this machine (Debian package systemd)")
    problems, exposure = [], {}
    folder = data.work / "systemd"
    folder.mkdir(exist_ok=True)
    for path in sorted((ROOT / "deploy" / "systemd").glob("*.service")):
        # The binaries need not be installed here.
        unit = folder / path.name
        unit.write_text(re.sub(r"/usr/local/bin/evopress\S*", "/bin/true", path.read_text()))
        code, out, err = run(tool, "verify", "--man=no", unit, check=False)
        if code != 0 or err.strip():
            problems.append(f"{path.name}: {(out + err).strip()[-200:]}")
        said = run(tool, "security", "--offline=true", unit, check=False)[1]
        exposure[path.name] = float(re.search(r"exposure level for \S+: ([\d.]+)", said)[1])
    levels = ", ".join(f"{name} {level}" for name, level in exposure.items())
    return Outcome(not problems and max(exposure.values()) < 3,
                   f"exposure {levels}; problems: {'; '.join(problems) or 'none'}",
                   "no problem, exposure below 3 of 10")
