"""Answers for libxml2: what it parses a document to, and the exclusive canonical form that it writes.

Reads batches from standard input and writes one batch of answers for each; `libxml2.rs` has the frame. lxml tells what was
parsed. It canonicalizes a part of a document as if what stands around it were not there, so that is done by libxml2's own
function, which takes the set of nodes.
"""

import ctypes
import ctypes.util
import functools
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


@functools.lru_cache(maxsize=4096)
def selection(apex, omitted):
    """XPath for every node, attribute and namespace of an element's subtree, without that of another."""
    inside = f"(//*)[{apex + 1}]/descendant-or-self::node()"
    if omitted is not None:
        inside += f"[count(ancestor-or-self::* | (//*)[{omitted + 1}]) != count(ancestor-or-self::*)]"
    return f"{inside} | {inside}/@* | {inside}/namespace::*".encode()


def canonical(octets, apex, omitted, prefixes):
    document = LIB.xmlReadMemory(
        octets, len(octets), None, None, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING
    )
    if not document:
        return None
    try:
        if apex == 0 and omitted is None:
            return write(document, None, prefixes)
        context = LIB.xmlXPathNewContext(document)
        selected = LIB.xmlXPathEvalExpression(selection(apex, omitted), context)
        try:
            return write(document, selected.contents.nodes, prefixes)
        finally:
            LIB.xmlXPathFreeObject(selected)
            LIB.xmlXPathFreeContext(context)
    finally:
        LIB.xmlFreeDoc(document)


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


def answer(octets, apex, omitted, prefixes):
    try:
        described = outline(octets)
    except etree.XMLSyntaxError:
        described = None
    return canonical(octets, apex, omitted, prefixes), described


def framed(octets):
    return struct.pack("<I", NONE) if octets is None else struct.pack("<I", len(octets)) + octets


def requests(batch):
    at = 0
    while at < len(batch):
        apex, omitted, octets_len, prefixes_len = struct.unpack_from("<IIII", batch, at)
        at += 16
        octets, at = batch[at : at + octets_len], at + octets_len
        prefixes, at = batch[at : at + prefixes_len], at + prefixes_len
        yield octets, apex, None if omitted == NONE else omitted, prefixes.split()


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        batch = source.read(struct.unpack("<I", head)[0])
        answers = b"".join(framed(part) for request in requests(batch) for part in answer(*request))
        sink.write(struct.pack("<I", len(answers)) + answers)
        sink.flush()


main()
