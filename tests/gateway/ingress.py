"""ingress-nginx as a real nginx: the part of its template for `auth-url`, with the values of the shipped manifest.

The lines are those that the controller's template writes for an Ingress with `auth-url`, less what needs Lua.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

_PREFIX = "nginx.ingress.kubernetes.io/"
_TEMPLATE = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    underscores_in_headers off;
    ignore_invalid_headers on;
    map $http_x_request_id $req_id {{ default $http_x_request_id; "" $request_id; }}
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    upstream upstream_balancer {{ server {upstream}; keepalive 320; }}
    server {{
        listen {listen};
        location = /_external-auth-Lw-Prefix {{
            internal;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Forwarded-Proto "";
            proxy_set_header X-Request-ID $req_id;
            proxy_set_header Host {authz};
            proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Sent-From "nginx-ingress-controller";
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Auth-Request-Redirect $request_uri;
            proxy_buffering off;
            proxy_pass_request_headers on;
{question}
            proxy_http_version 1.1;
            set $target {url};
            proxy_pass $target;
        }}
        location / {{
            set $pass_access_scheme $scheme;
            set $best_http_host $http_host;
            auth_request /_external-auth-Lw-Prefix;
            auth_request_set $auth_cookie $upstream_http_set_cookie;
            add_header Set-Cookie $auth_cookie;
{identity}
            proxy_set_header Host $best_http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Request-ID $req_id;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $best_http_host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Forwarded-Proto $pass_access_scheme;
            proxy_set_header X-Forwarded-Scheme $pass_access_scheme;
            proxy_set_header X-Scheme $pass_access_scheme;
            proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;
            proxy_set_header Proxy "";
{upstream_headers}
            proxy_buffering off;
            proxy_http_version 1.1;
            proxy_next_upstream error timeout;
            proxy_next_upstream_tries 3;
            proxy_pass http://upstream_balancer;
            proxy_redirect off;
        }}
    }}
}}
"""


def controller_config(manifest: str, values: Mapping[str, str]) -> str:
    """The configuration that the controller writes for the shipped manifest, with every variable filled in."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(manifest))
    maps = {f"{d['metadata']['namespace']}/{d['metadata']['name']}": d for d in documents if d["kind"] == "ConfigMap"}
    (ingress,) = [document for document in documents if document["kind"] == "Ingress"]
    annotations = ingress["metadata"]["annotations"]
    url = annotations[f"{_PREFIX}auth-url"]
    identity: list[str] = []
    for number, name in enumerate(annotations[f"{_PREFIX}auth-response-headers"].split(",")):
        variable = f"$authHeader{number}"
        identity.append(f"auth_request_set {variable} $upstream_http_{name.lower().replace('-', '_')};")
        identity.append(f"proxy_set_header '{name}' {variable};")
    return _TEMPLATE.format(
        listen=values["LISTEN"],
        upstream=values["UPSTREAM"],
        authz=values["AUTHZ"],
        url=url,
        question=_lines(maps[annotations[f"{_PREFIX}auth-proxy-set-headers"]]["data"]),
        identity="\n".join(identity),
        upstream_headers=_lines(maps[f"{ingress['metadata']['namespace']}/authz-upstream"]["data"]),
    )


def _lines(headers: Mapping[str, str]) -> str:
    return "\n".join(f"proxy_set_header '{name}' \"{value}\";" for name, value in headers.items())
