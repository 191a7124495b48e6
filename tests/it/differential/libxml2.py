"""Answers for libxml2: what it parses a document to, and the exclusive canonical form that it writes.

Reads batches from standard input and writes one batch of answers for each; `libxml2.rs` has the frame. lxml tells what was
parsed. It canonicalizes a part of a document as if what stands around it were not there, so that is done by libxml2's own
function, which takes the set of nodes.
"""

import contextlib
import ctypes
import ctypes.util
import struct
import sys

from lxml import etree

XML_PARSE_NONET = 1 << 11
XML_PARSE_NOERROR = 1 << 5
XML_PARSE_NOWARNING = 1 << 6
XML_C14N_EXCLUSIVE_1_0 = 1
NONE = 0xFFFFFFFF

FIELD, PART, RECORD, ABSENT = "\x1f", "\x1c", "\x1e", "\x1d"


class XPathObject(ctypes.Structure):
    """The head of `xmlXPathObject`."""

    _fields_ = [("type", ctypes.c_int), ("nodes", ctypes.c_void_p)]


class NodeSet(ctypes.Structure):
    """The head of `xmlNodeSet`."""

    _fields_ = [
        ("count", ctypes.c_int),
        ("room", ctypes.c_int),
        ("table", ctypes.POINTER(ctypes.c_void_p)),
    ]


def load():
    lib = ctypes.CDLL(ctypes.util.find_library("xml2") or "libxml2.so.2")
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    prototypes = {
        "xmlReadMemory": (pointer, [text, number, text, text, number]),
        "xmlFreeDoc": (None, [pointer]),
        "xmlXPathNewContext": (pointer, [pointer]),
        "xmlXPathFreeContext": (None, [pointer]),
        "xmlXPathEvalExpression": (ctypes.POINTER(XPathObject), [text, pointer]),
        "xmlXPathFreeObject": (None, [ctypes.POINTER(XPathObject)]),
        "xmlUnlinkNode": (None, [pointer]),
        "xmlFreeNode": (None, [pointer]),
        "xmlC14NDocDumpMemory": (
            number,
            [pointer, pointer, number, pointer, number, ctypes.POINTER(pointer)],
        ),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    free = ctypes.CFUNCTYPE(None, pointer)(pointer.in_dll(lib, "xmlFree").value)
    return lib, free


LIB, FREE = load()
PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def selection(apex):
    """XPath for every node, attribute and namespace of an element's subtree."""
    inside = f"(//*)[{apex + 1}]/descendant-or-self::node()"
    return f"{inside} | {inside}/@* | {inside}/namespace::*".encode()


def canonical(octets, apex, omitted, prefixes):
    document = LIB.xmlReadMemory(
        octets, len(octets), None, None, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING
    )
    if not document:
        return None
    context = LIB.xmlXPathNewContext(document)
    try:
        if omitted is not None:
            remove(f"(//*)[{omitted + 1}]".encode(), context)
        if apex == 0:
            return write(document, None, prefixes)
        with selected(selection(apex), context) as nodes:
            return write(document, nodes, prefixes)
    finally:
        LIB.xmlXPathFreeContext(context)
        LIB.xmlFreeDoc(document)


def remove(expression, context):
    """Takes an element out, as the enveloped signature transform does. It has a higher number than the apex."""
    with selected(expression, context) as nodes:
        found = ctypes.cast(nodes, ctypes.POINTER(NodeSet)).contents
        node = found.table[0] if found.count else None
    if node:
        LIB.xmlUnlinkNode(node)
        LIB.xmlFreeNode(node)


@contextlib.contextmanager
def selected(expression, context):
    found = LIB.xmlXPathEvalExpression(expression, context)
    try:
        yield found.contents.nodes
    finally:
        LIB.xmlXPathFreeObject(found)


def write(document, nodes, prefixes):
    listed = None
    if prefixes:
        listed = (ctypes.c_char_p * (len(prefixes) + 1))(*prefixes, None)
    out = ctypes.c_void_p()
    length = LIB.xmlC14NDocDumpMemory(
        document, nodes, XML_C14N_EXCLUSIVE_1_0, listed, 0, ctypes.byref(out)
    )
    if length < 0:
        return None
    try:
        return ctypes.string_at(out, length)
    finally:
        FREE(out)


def split(name):
    namespace, brace, local = name[1:].partition("}")
    return (namespace, local) if name[0] == "{" and brace else ("", name)


def text(element):
    pieces = [element.text or ""]
    for child in element:
        if child.tag is not etree.Comment:
            return ABSENT
        pieces.append(child.tail or "")
    return "".join(pieces)


def outline(octets):
    records = []

    def describe(element, depth):
        namespace, local = split(element.tag)
        fields = [str(depth), namespace, local, text(element)]
        attributes = sorted((*split(name), value) for name, value in element.items())
        fields += [PART.join(attribute) for attribute in attributes]
        records.append(FIELD.join(fields))
        for child in element.iterchildren(tag=etree.Element):
            describe(child, depth + 1)

    describe(etree.fromstring(octets, PARSER), 0)
    return RECORD.join(records).encode()


def answer(octets, describe, apex, omitted, prefixes):
    described = None
    try:
        described = outline(octets) if describe else None
    except etree.XMLSyntaxError:
        pass
    return canonical(octets, apex, omitted, prefixes), described


def framed(octets):
    return struct.pack("<I", NONE) if octets is None else struct.pack("<I", len(octets)) + octets


def requests(batch):
    at = 0
    while at < len(batch):
        describe, apex, omitted, octets_len, prefixes_len = struct.unpack_from("<IIIII", batch, at)
        at += 20
        octets, at = batch[at : at + octets_len], at + octets_len
        prefixes, at = batch[at : at + prefixes_len], at + prefixes_len
        yield octets, describe, apex, None if omitted == NONE else omitted, prefixes.split()


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        batch = source.read(struct.unpack("<I", head)[0])
        answers = b"".join(framed(part) for request in requests(batch) for part in answer(*request))
        sink.write(struct.pack("<I", len(answers)) + answers)
        sink.flush()


main()
