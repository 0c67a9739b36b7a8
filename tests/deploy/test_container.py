"""The container image: small rights, hashed libraries, a health check, nothing secret inside."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text()


def instructions(name):
    """The arguments of every instruction of that name, in order."""
    return re.findall(rf"^{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def test_the_image_is_built_in_two_stages_and_the_last_runs_as_a_user():
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]

    assert len(instructions("FROM")) == 2
    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == ["ticklane"]


def test_the_libraries_come_from_the_hashed_lock():
    assert "--require-hashes -r requirements.lock" in DOCKERFILE


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD"])
def test_the_program_gets_its_signals_itself(name):
    [arguments] = instructions(name)

    assert all(isinstance(word, str) for word in json.loads(arguments))


def test_the_health_check_asks_the_daemon():
    [check] = instructions("HEALTHCHECK")

    assert json.loads(check.split("CMD", 1)[1]) == ["ticklane", "status", "--json"]


def test_everything_copied_exists_and_is_let_in_by_dockerignore():
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if "!" in line]
    copies = [words.split()[:-1] for words in instructions("COPY") if "--from" not in words]

    for source in (source for sources in copies for source in sources):
        assert (ROOT / source).exists(), source
        assert any(source == name or source.startswith(f"{name}/") for name in let_in), source


def test_no_secret_gets_into_the_image():
    assert not re.search(r"^(ARG|ENV).*(KEY|SECRET|TOKEN|PASSWORD)", DOCKERFILE, re.MULTILINE)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert "**/.env" in (ROOT / ".dockerignore").read_text()


@pytest.mark.parametrize(
    "line",
    [
        "restart: unless-stopped",
        "stop_grace_period: 10s",
        "read_only: true",
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
        "- data:/var/lib/ticklane",
        "required: false",
    ],
)
def test_compose_says(line):
    assert re.search(rf"^\s+{re.escape(line)}$", COMPOSE, re.MULTILINE)
