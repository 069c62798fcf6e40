"""Addresses of servers and remotes: each in one place, with one client; a password is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from test_places import about_a_server, changed, needs

Render = Callable[..., Path]
# Where versions of data and model are kept, and what DVC needs to reach it.
REMOTES: dict[str, set[str]] = {
    "../store 7919": set(),
    "~/store-7919": set(),
    "/mnt/store-7919": set(),
    "s3://store-7919/a/b": {"dvc-s3"},
    "gs://store-7919": {"dvc-gs"},
    "azure://store-7919/a": {"dvc-azure"},
    "ssh://ada@store-7919:2222/srv/dvc": {"dvc-ssh"},
}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@db/x",
        "postgresql://ada:se/cret@db/x",
        "postgresql://db/x?password=7919",
        "redis://:p@db/0",
        "postgresql://db/x#t",
        "postgresql://db/x y",
        "postgresql://",
        "db/x",
    ],
)
def test_an_address_with_a_password_or_of_another_kind_is_refused(url: str, render: Render) -> None:
    with pytest.raises(ValueError, match="source_url"):
        render(**{**about_a_server("postgres"), "source_url": url})


@pytest.mark.parametrize("url", REMOTES)
def test_a_remote_has_one_place_and_one_client_that_is_pinned(url: str, render: Render) -> None:
    emitted = render(remote_url=url)
    places = {".dvc/config"} | ({"requirements-dev.txt"} if REMOTES[url] else set())
    assert changed(render(), emitted) == places
    shown = "../" + url if url.startswith("../") else url  # DVC reads it from within .dvc
    assert f"url = {shown}\n" in (emitted / ".dvc/config").read_text()
    assert needs(emitted) - needs(render()) == REMOTES[url]
    for name in REMOTES[url]:
        assert f"\n{name}==" in (emitted / "constraints.txt").read_text()


def test_a_source_and_a_remote_do_not_meet(render: Render) -> None:
    source, url = about_a_server("object_store"), "s3://store-7919/a/b"
    assert needs(render(**source, remote_url=url)) == needs(render(**source)) | REMOTES[url]


@pytest.mark.parametrize(
    ("url", "way_out"),
    [
        ("s3://AKIA:sesame@bucket/a", "password or key out"),
        ("ssh://ada:sesame@host/srv", "password or key out"),
        ("ssh://ada:se/same@host/srv", "password or key out"),
        ("azure://box/a?sv=1&sig=sesame", "password or key out"),
        ("AccountName=ada;AccountKey=sesame", "password or key out"),
        ("http://host/a", "give a folder"),
        ("az://box/a", "give a folder"),
        ("ssh://host", "give a folder"),
        ("s3://", "give a folder"),
        ("s3://bucket/%(x)s", "give a folder"),
        ("storage", "give a folder"),
        ("data/storage", "give a folder"),
        ("..", "give a folder"),
        ("C:\\storage", "give a folder"),
        ("../a # b", "give a folder"),
        ("../a\nb", "give a folder"),
        ("", "give a folder"),
    ],
)
def test_a_remote_that_dvc_would_not_take_or_with_a_password_is_refused(
    url: str, way_out: str, render: Render
) -> None:
    with pytest.raises(ValueError, match=way_out):
        render(remote_url=url)
