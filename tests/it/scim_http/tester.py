"""Runs scim2-tester against a base URL (the first argument) with the bearer token of the environment.

Prints one JSON object for each check, and ends with 1 if a check failed.
"""
import json
import os
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

FINE = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED}


def main() -> int:
    headers = {"Authorization": f"Bearer {os.environ['SCIM_TOKEN']}"}
    with Client(base_url=sys.argv[1], headers=headers, timeout=60) as http:
        results = check_server(SyncSCIMClient(http))
    for result in results:
        told = {
            "status": result.status.name,
            "title": result.title,
            "resource": result.resource_type,
            "reason": result.reason,
        }
        print(json.dumps(told))
    return 0 if results and all(result.status in FINE for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
