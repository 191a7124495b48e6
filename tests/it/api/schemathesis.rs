//! A fuzzer that reads the OpenAPI document, against a running gateway: no 5xx, and every answer is as the document says.
