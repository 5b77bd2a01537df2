"""The parts of the security core: their sources, and the tests that could notice an edit of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Part:
    """Sources and tests, each a file or a directory."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]

    def source_files(self, root: Path = ROOT) -> Iterator[Path]:
        return _files(root, self.sources, "*.py")

    def test_files(self, root: Path = ROOT) -> Iterator[Path]:
        return _files(root, self.tests, "test_*.py")


def _files(root: Path, places: tuple[str, ...], pattern: str) -> Iterator[Path]:
    for place in places:
        path = root / place
        yield from [path] if path.is_file() else sorted(path.rglob(pattern))


def _under(directory: str, names: str) -> tuple[str, ...]:
    return tuple(f"{directory}/{name}.py" for name in names.split())


PARTS = {
    "policy": Part(
        ("app/policy",),
        (
            *("tests/policy", "tests/gateway/test_resource_reference.py"),
            *_under("tests/http/api", "test_authzen_in_process test_explain_route test_authzen test_authzen_search"),
            "tests/cli/policy/test_policy_check.py",
        ),
    ),
    "identity": Part(("app/identity",), ("tests/identity", "tests/http/door/test_issuers.py")),
    "doors": Part(
        (
            *_under("app/http/door", "enforcement middleware forward_auth refusal budgets"),
            *_under("app/http/door", "request_context route_table request_id direct"),
            *_under("app/http/door", "anonymous_entrance refusal_throttle front"),
            *_under("app/http/wire", "data_response errors ids json_body litestar_private"),
            *_under("app/http/api", "domain_problems introspection"),
            *_under("app/keys", "known_key lookups revocations status subjects"),
            "app/db/digest_lookups.py",
            *_under("app/http/api/authzen", "evaluate evaluation search page recent wire budget token_subject"),
        ),
        (
            *_under("tests/gateway", "test_answers test_doors test_questions"),
            *_under("tests/http/door", "test_shut_door test_refusal test_budget_answers"),
            *_under("tests/http/api", "test_authzen_in_process test_authzen_parts test_authzen_bodies test_recent"),
            *_under("tests/http/api", "test_authzen_shared test_authzen_apps"),
            *_under("tests/http/door", "test_request_id test_door test_conditions test_errors_contract"),
            *_under("tests/http/door", "test_route_table test_request_context test_cached_decisions"),
            *_under("tests/http/wire", "test_data_response test_litestar_private test_outer_layers"),
            *_under("tests/http/wire", "test_errors test_ids test_json_body test_json_body_size"),
            *_under("tests/http/door", "test_not_utf8 test_more_routes"),
            *_under("tests/http/api", "test_oauth_entrance test_authzen_long_names"),
            *("tests/db/test_compact_ids.py", "tests/oauth/test_documented_limits.py"),
            *_under("tests/keys", "test_key_lookups test_key_store test_key_revocations test_own_keys"),
            "tests/keys/test_organization_keys.py",
            *_under("tests/http/api", "test_authzen_tokens test_domain_problems test_api_keys"),
            *_under("tests/oauth", "test_resource_doors test_delegated_doors"),
            *_under("tests/http/api", "test_introspection test_operation test_explain_route"),
            *_under("tests/http/api", "test_authzen test_authzen_search test_authzen_budget test_authzen_limits"),
            *_under("tests/http/api", "test_authzen_certification test_reverse test_decisions"),
            *_under("tests/http/door", "test_budgets test_refusal_throttle"),
            *_under("tests/gateway", "test_reasons test_forward_auth"),
        ),
    ),
    "gateway": Part(
        ("app/gateway",),
        (
            *_under("tests/gateway", "test_canonical test_profiles test_authentication test_resource_reference"),
            *_under("tests/gateway", "test_unset_proxies test_answers test_doors test_questions test_proxies"),
            "tests/http/api/test_authzen.py",
            *_under("tests/gateway", "test_forward_auth test_ingress_nginx"),
        ),
    ),
    "console": Part(
        (
            *_under("app/console", "oidc entrance sign_in discovery login_state cookies forms single_use"),
            *_under("app/console", "account config page"),
            "app/db/console_sessions.py",
        ),
        (
            *_under(
                "tests/console", "test_oidc test_id_tokens test_discovery test_login_state test_cookies test_forms"
            ),
            *_under("tests/console", "test_entrance_answers test_entrance test_sign_in test_issuer_answers"),
            *_under(
                "tests/console",
                "test_session_limit test_sessions_of_members test_long_pages test_nav test_page_headers",
            ),
            *_under("tests/oauth", "test_consent test_documented_limits test_write_locks"),
        ),
    ),
    "oauth": Part(
        (
            *("app/oauth", "app/http/api/oauth"),
            *_under("app/console", "authorize authorization_entrance consent consent_headers"),
        ),
        (
            *_under("tests/oauth", "test_client test_client_document test_client_finder test_clients test_consent"),
            *_under("tests/oauth", "test_consent_of_documents test_consent_races test_consents test_departures"),
            *_under("tests/oauth", "test_administered_apps test_app_changes test_apps_of_members test_removal_races"),
            *_under("tests/oauth", "test_delegated_doors test_document_clients test_document_fetch test_exchange"),
            *_under("tests/oauth", "test_documents_at_a_server test_dynamic_clients test_registry"),
            *_under("tests/oauth", "test_open_requests test_own_grants test_public_address test_redirects"),
            *_under("tests/oauth", "test_redirects_at_a_server test_registration test_resource_doors test_scope"),
            *_under("tests/oauth", "test_token_endpoint test_write_locks test_app_forms test_lifetimes test_grants"),
            *_under(
                "tests/oauth",
                "test_app_order test_authorization test_consent_forms test_open_scopes test_people test_revocation",
            ),
            "tests/oauth/test_documented_limits.py",
            *_under("tests/http/api", "test_oauth_apps test_oauth_entrance test_oauth_errors test_domain_problems"),
            *_under("tests/identity", "test_access_token_verifier test_external_apps"),
            "tests/console/test_registered_apps_pages.py",
        ),
    ),
}
