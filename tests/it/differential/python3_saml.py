"""Answers for python3-saml: whether it accepts each response, and what that says of the person.

Reads one JSON object from standard input (`python3_saml.rs` has its members) and writes a list with an answer for each response.
Its clock is the one that comes with the response.
"""

import datetime
import json
import sys

from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils

BEARER_POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"


def settings(asked, strict):
    return OneLogin_Saml2_Settings(
        {
            "strict": strict,
            "debug": False,
            "sp": {
                "entityId": asked["entity_id"],
                "assertionConsumerService": {"url": asked["acs_url"], "binding": BEARER_POST},
                "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
                "privateKey": asked["private_key"],
            },
            "idp": {
                "entityId": asked["idp_entity_id"],
                "singleSignOnService": {"url": asked["sso_url"], "binding": REDIRECT},
                "x509certMulti": {"signing": asked["certificates"]},
            },
            "security": {"wantAttributeStatement": False, "allowRepeatAttributeName": True},
        }
    )


def request(acs_url):
    scheme, _, rest = acs_url.partition("://")
    host, _, path = rest.partition("/")
    return {
        "https": "on" if scheme == "https" else "off",
        "http_host": host,
        "script_name": "/" + path,
        "get_data": {},
        "post_data": {},
    }


def answer(asked, response):
    now = datetime.datetime.fromisoformat(response["now"].replace("Z", "+00:00"))
    OneLogin_Saml2_Utils.now = staticmethod(lambda: int(now.timestamp()))
    try:
        read = OneLogin_Saml2_Response(settings(asked, response["strict"]), response["base64"])
        read.is_valid(request(asked["acs_url"]), asked["request_id"], raise_exceptions=True)
        attributes = read.get_attributes()
        return {
            "name_id": read.get_nameid(),
            "format": read.get_nameid_format(),
            "session_index": read.get_session_index(),
            "attributes": {name: [text(value) for value in values] for name, values in attributes.items()},
        }
    except Exception as error:  # Whatever it is, the response is not accepted.
        return {"error": f"{type(error).__name__}: {error}"}


def text(value):
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def main():
    asked = json.load(sys.stdin)
    json.dump([answer(asked, response) for response in asked["responses"]], sys.stdout)


main()
