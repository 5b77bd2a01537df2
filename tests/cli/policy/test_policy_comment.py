"""`authz policy comment`: one comment on each request, of the same author, on both platforms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.policy.review.comment_thread import CannotComment, NotAllowed, ThreadClient
from app.cli.policy.review.platforms import NoThread, Platform, UnusableThread, thread_of
from tests.cli.command import command
from tests.support.comment_hosts import BOT, STRANGER, TOKEN, CommentHost

MARKER = f"<!-- authz-policy-review {'a' * 16} -->"
PLATFORMS: tuple[Platform, ...] = ("github", "gitlab")


@pytest.fixture(scope="module")
def server() -> Iterator[CommentHost]:
    with CommentHost() as host:
        yield host


@pytest.fixture
def host(server: CommentHost) -> CommentHost:
    """The host without comments."""
    server.comments.clear()
    server.requests.clear()
    server.outage.clear()
    server.post_outage.clear()
    server.refusal = 0
    return server


def environment(host: CommentHost, platform: Platform, **changed: str) -> dict[str, str]:
    """The variables of a job on pull request 7."""
    by_platform = {
        "github": {
            "GITHUB_API_URL": host.url,
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_TOKEN": TOKEN,
        },
        "gitlab": {
            "CI_API_V4_URL": f"{host.url}/api/v4",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_ID": "3",
            "POLICY_REVIEW_TOKEN": TOKEN,
        },
    }
    return by_platform[platform] | changed


def put(host: CommentHost, platform: Platform, body: str) -> str:
    with ThreadClient(thread_of(platform, environment(host, platform)), pause_seconds=0) as client:
        return client.put(body)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_one_comment_is_kept_up_to_date(host: CommentHost, platform: Platform) -> None:
    host.add("Looks good", STRANGER)
    assert put(host, platform, f"{MARKER}\n\nfirst\n") == "created"
    assert put(host, platform, f"{MARKER}\n\nsecond\n") == "edited"
    assert put(host, platform, f"{MARKER}\n\nsecond\n") == "unchanged"
    assert host.bodies == ["Looks good", f"{MARKER}\n\nsecond\n"]
    other = MARKER.replace("a" * 16, "b" * 16)
    assert put(host, platform, f"{other}\n\nother policy") == "created"
    assert len(host.comments) == 3


@pytest.mark.parametrize("platform", PLATFORMS)
def test_only_our_comment_is_edited(host: CommentHost, platform: Platform) -> None:
    """A stranger who copies the hidden line could change the text afterwards."""
    host.add(f"{MARKER}\n\nNo verdict changes.", STRANGER)
    host.add(f"> {MARKER}\n\nquoted", BOT)
    assert put(host, platform, f"{MARKER}\n\nAccess widens.") == "created"
    assert put(host, platform, f"{MARKER}\n\nAccess widens again.") == "edited"
    assert [comment["user"]["login"] for comment in host.comments] == ["mallory", BOT["login"], BOT["login"]]
    assert host.bodies[0].endswith("No verdict changes.")
    assert host.bodies[2].endswith("Access widens again.")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_copies_of_parallel_jobs_are_deleted(host: CommentHost, platform: Platform) -> None:
    for text in ("one", "two", "three"):
        host.add(f"{MARKER}\n\n{text}", BOT)
    assert put(host, platform, f"{MARKER}\n\nnew") == "edited"
    assert host.bodies == [f"{MARKER}\n\nnew"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_comment_is_found_behind_many_others(host: CommentHost, platform: Platform) -> None:
    for number in range(230):
        host.add(f"comment {number}", STRANGER)
    host.comments[215] |= {"body": f"{MARKER}\r\n\r\nold", "user": BOT, "author": BOT}
    assert put(host, platform, f"{MARKER}\n\nold\n") == "unchanged"
    assert put(host, platform, f"{MARKER}\n\nnew") == "edited"
    assert len(host.comments) == 230


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("outage", [[503], [429, 502], [500, 500]])
def test_an_outage_is_waited_for(host: CommentHost, platform: Platform, outage: list[int]) -> None:
    host.outage += outage
    assert put(host, platform, f"{MARKER}\n\ntext") == "created"
    assert len(host.comments) == 1


def test_a_comment_is_not_created_twice(host: CommentHost) -> None:
    """An error of the platform does not say whether it created the comment."""
    host.post_outage += [502]
    with pytest.raises(CannotComment, match="answers 502"):
        put(host, "github", f"{MARKER}\n\ntext")
    host.post_outage += [429]
    assert put(host, "github", f"{MARKER}\n\ntext") == "created"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_errors_say_what_the_platform_answers(host: CommentHost, platform: Platform) -> None:
    host.outage += [500] * 3
    with pytest.raises(CannotComment, match=r"GET .* answers 500, “busy”"):
        put(host, platform, MARKER)
    host.refusal = 403
    with pytest.raises(NotAllowed, match=r"POST .* answers 403, “Resource not accessible by integration”"):
        put(host, platform, MARKER)
    name = "GITHUB_TOKEN" if platform == "github" else "POLICY_REVIEW_TOKEN"
    thread = thread_of(platform, environment(host, platform, **{name: "secret-of-another"}))
    with ThreadClient(thread) as client, pytest.raises(CannotComment, match="answers 401") as refused:
        client.put(MARKER)
    assert "secret-of-another" not in str(refused.value)
    host.outage += [302]
    with pytest.raises(CannotComment, match="answers 302"):
        put(host, platform, MARKER)


@pytest.mark.parametrize(
    ("platform", "changed", "error"),
    [
        ("github", {"GITHUB_REF": "refs/heads/main"}, NoThread),
        ("github", {"GITHUB_TOKEN": ""}, NoThread),
        ("gitlab", {"CI_MERGE_REQUEST_IID": ""}, NoThread),
        ("gitlab", {"POLICY_REVIEW_TOKEN": ""}, NoThread),
        ("github", {"GITHUB_TOKEN": "a\nb"}, UnusableThread),
        ("github", {"GITHUB_REPOSITORY": "acme/shop/../../x"}, UnusableThread),
        ("github", {"GITHUB_API_URL": "http://evil.example"}, UnusableThread),
        ("github", {"GITHUB_API_URL": ""}, UnusableThread),
        ("github", {"GITHUB_REF": "refs/pull/7/merge\n"}, NoThread),
        ("gitlab", {"CI_API_V4_URL": "ftp://x"}, UnusableThread),
        ("gitlab", {"CI_MERGE_REQUEST_IID": "7/../8"}, UnusableThread),
        ("gitlab", {"CI_MERGE_REQUEST_PROJECT_ID": "acme"}, UnusableThread),
    ],
)
def test_a_token_is_sent_only_with_variables_of_the_platform(
    host: CommentHost, platform: Platform, changed: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        thread_of(platform, environment(host, platform, **changed))


def test_the_command_says_what_it_did(host: CommentHost, tmp_path: Path) -> None:
    file = tmp_path / "comment.md"
    file.write_text(f"{MARKER}\n\ntext\n")

    def run(platform: Platform, **changed: str) -> tuple[int, str]:
        done = command("policy", "comment", platform, str(file), env=environment(host, platform, **changed))
        return done.returncode, done.stdout + done.stderr

    assert run("github") == (0, "The comment on pull request 7 is created.\n")
    assert run("gitlab") == (0, "The comment on merge request 7 is unchanged.\n")
    assert run("github", GITHUB_TOKEN="") == (0, "No comment: GITHUB_TOKEN is not set.\n")
    assert run("gitlab", CI_MERGE_REQUEST_IID="") == (0, "No comment: this job is not one of a merge request.\n")
    assert run("github", GITHUB_API_URL="http://evil.example")[0] == 2
    host.comments.clear()
    host.refusal = 403
    status, said = run("github")
    assert (status, "needs `pull-requests: write`, which a fork does not get." in said) == (0, True)
    status, said = run("gitlab")
    assert (status, "POLICY_REVIEW_TOKEN needs the scope `api`" in said) == (1, True)
    assert run("github", GITHUB_TOKEN="wrong")[0] == 1
    file.write_text("something else\n")
    assert run("github")[0] == 2
    assert TOKEN not in said
