#!/usr/bin/env python3
"""Says of SOAP messages whether they are what a WSDL's schemas say, by libxml2: valid.py WSDL FOLDER

Reads the definition by itself and knows nothing of how the messages were made. Each header block, the element of the
body, and what stands in a fault's detail must be valid; the elements of rpc bodies, which no schema has, are put
together of the parts' types. One line for each message that isn't valid: its name and why; then one JSON object:
`messages`, `pieces` (validated), `invalid`, `left_out` (facets that aren't checked, of each kind how many).

What is taken from the schemas before:
* facets other than enumerations of text, and unions, since the values are made from the tables, which don't have them;
* what types that are text to us say about the text (`xsd:duration`, `xsd:ID`, ...);
* elements with names that no element can have, which no message has either;
and to them is added that a SOAP-ENC array has items of any name, where the schema doesn't name them. From rpc/encoded
messages is taken `xsi:type` where it names one of XML Schema's own types, or `SOAP-ENC:Array`: what is sent is the type
that every stack knows, not the one that the definition derives from it.
"""
import copy, json, os, sys, tempfile
from collections import Counter, defaultdict
from lxml import etree as ET

XS, WSDL = "http://www.w3.org/2001/XMLSchema", "http://schemas.xmlsoap.org/wsdl/"
ENC, ENV = "http://schemas.xmlsoap.org/soap/encoding/", "http://schemas.xmlsoap.org/soap/envelope/"
ENV12, XSI = "http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2001/XMLSchema-instance"
SOAPS = ["http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/"]
FACETS = "pattern length minLength maxLength minInclusive maxInclusive minExclusive maxExclusive totalDigits fractionDigits whiteSpace assertion".split()
TEXT = "duration gYear gYearMonth gMonth gMonthDay gDay hexBinary ID IDREF IDREFS ENTITY ENTITIES NOTATION language".split()
NUMBERS = "nonPositiveInteger negativeInteger".split()
ORDERED = [(XS, name) for name in "byte short int long integer unsignedByte unsignedShort unsignedInt unsignedLong decimal float double".split()]
BUNDLED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../src/bundled")
ENC12 = "http://www.w3.org/2003/05/soap-encoding"
ENCODING = """<schema xmlns="{XS}" xmlns:e="{ENC}" targetNamespace="{ENC}">
 <attribute name="itemType" type="string"/><attribute name="arraySize" type="string"/>
 <attribute name="arrayType" type="string"/><attribute name="offset" type="string"/><attribute name="position" type="string"/>
 <complexType name="Array"><sequence><any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/></sequence>
  <attribute ref="e:arrayType"/><attribute ref="e:offset"/><attribute name="id" type="ID"/><attribute name="href" type="anyURI"/>
  <anyAttribute namespace="##other" processContents="lax"/></complexType>
 <complexType name="Struct" mixed="true"><sequence><any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/></sequence>
  <anyAttribute namespace="##other" processContents="lax"/></complexType>
</schema>"""
parser = ET.XMLParser(resolve_entities=False, huge_tree=True)
xs = lambda name: f"{{{XS}}}{name}"


class Definition:
    """The trees of a WSDL and of all that it imports."""

    def __init__(self, path):
        self.wsdls, self.schemas, self.files = [], [], {}   # schemas: (tree, folder, path or None, is it a root)
        self.wsdl(path)
        for name in sorted(os.listdir(BUNDLED)):
            tree = ET.parse(os.path.join(BUNDLED, name), parser).getroot()
            if tree.get("targetNamespace") not in self.namespaces():
                self.schemas.append([tree, BUNDLED, None, True])
        for namespace in {ENC, ENC12} - self.namespaces():
            tree = ET.fromstring(ENCODING.format(XS=XS, ENC=namespace))
            self.schemas.append([tree, BUNDLED, None, True])
        bodies = [it.get("use") for wsdl in self.wsdls for ns in SOAPS for it in wsdl.iter(f"{{{ns}}}body")]
        # SOAP 1.1 section 7.1: accessors have no namespace, whatever the schema says
        self.encoded = "encoded" in bodies and "literal" not in bodies

    def namespaces(self):
        return {tree.get("targetNamespace") for tree, _, _, _ in self.schemas}

    def wsdl(self, path):
        path = os.path.realpath(path)
        if path in self.files:
            return
        self.files[path] = None
        root, folder = ET.parse(path, parser).getroot(), os.path.dirname(path)
        if root.tag == xs("schema"):
            return self.schema(root, folder, path, True)
        self.wsdls.append(root)
        for it in root.findall(f"{{{WSDL}}}import"):
            self.wsdl(os.path.join(folder, it.get("location")))
        for tree in root.findall(f"{{{WSDL}}}types/{xs('schema')}"):
            alone = ET.fromstring(ET.tostring(tree), parser)   # with the namespaces that are in scope
            self.schema(alone, folder, None, True)

    def schema(self, tree, folder, path, is_root):
        entry = [tree, folder, path, is_root]
        self.schemas.append(entry)
        if path:
            self.files[path] = entry
        for it in tree:
            where = it.get("schemaLocation") if isinstance(it.tag, str) else None
            kind = ET.QName(it).localname if isinstance(it.tag, str) else ""
            if where and kind in ("import", "include", "redefine"):
                there = os.path.realpath(os.path.join(folder, where))
                if there in self.files:
                    if kind == "import" and self.files[there]:
                        self.files[there][3] = True
                elif os.path.exists(there):
                    self.schema(ET.parse(there, parser).getroot(), os.path.dirname(there), there, kind == "import")

    def all(self, name):
        return [it for root in self.wsdls for it in root.iter(f"{{{WSDL}}}{name}")]


def qname(element, text):
    prefix, _, local = text.rpartition(":")
    return element.nsmap.get(prefix or None, "") or "", local


def usual(name):
    """The type that is meant to be checked for it."""
    where, local = name
    if where == ENC and local not in ("Array", "Struct"):   # SOAP 1.1 section 5.2.1: the same types by other names
        where, local = XS, "base64Binary" if local == "base64" else local
    if where == XS and local in TEXT:
        local = "string"
    if where == XS and local in NUMBERS:
        local = "integer"
    return where, local


def imports(tree, homes):
    """All that is known may be named: inside of WSDLs imports are often left out."""
    for namespace, home in homes.items():
        if namespace != (tree.get("targetNamespace") or ""):
            it = ET.Element(xs("import"), schemaLocation=home)
            if namespace:
                it.set("namespace", namespace)
            tree.insert(0, it)


class Schemas:
    """All of them as one, compiled by libxml2."""

    def __init__(self, definition):
        self.left_out = Counter()
        self.extra = defaultdict(list)      # namespace -> elements that no schema has
        self.declared = set()
        self.definition = definition
        for tree, _, _, _ in definition.schemas:
            for it in tree.findall(xs("element")):
                self.declared.add((tree.get("targetNamespace") or "", it.get("name")))

    def add(self, namespace, name, parts):
        """An element of parts [(name, the WSDL's element of the part)], or of one type (name None)."""
        if (namespace, name) in self.declared:
            return
        self.declared.add((namespace, name))
        self.extra[namespace].append((name, parts))

    def compile(self):
        with tempfile.TemporaryDirectory() as folder:
            by_path, roots = {}, defaultdict(list)
            for index, (tree, _, path, is_root) in enumerate(self.definition.schemas):
                name = f"s{index}.xsd"
                if path:
                    by_path[path] = name
                if is_root:
                    roots[tree.get("targetNamespace") or ""].append(name)
            for namespace in self.extra:
                roots.setdefault(namespace, [])
            homes = {namespace: f"n{index}.xsd" for index, namespace in enumerate(roots)}
            for index, (tree, where, _, _) in enumerate(self.definition.schemas):
                self.write(copy.deepcopy(tree), where, by_path, homes, f"{folder}/s{index}.xsd")
            for namespace, names in roots.items():
                self.home(namespace, names, homes, f"{folder}/{homes[namespace]}")
            main = ET.Element(xs("schema"), nsmap={"xs": XS}, targetNamespace="urn:main")
            imports(main, homes)
            ET.ElementTree(main).write(f"{folder}/main.xsd")
            return ET.XMLSchema(ET.parse(f"{folder}/main.xsd"))

    def home(self, namespace, names, homes, path):
        """All of a namespace in one file: libxml2 reads only the first that is imported for it."""
        root = ET.Element(xs("schema"), nsmap={"xs": XS})
        if namespace:
            root.set("targetNamespace", namespace)
        imports(root, homes)
        for name in names:
            ET.SubElement(root, xs("include"), schemaLocation=name)
        for name, parts in self.extra[namespace]:
            if len(parts) == 1 and parts[0][0] is None:
                root.append(self.typed(name, parts[0][1]))
                continue
            element = ET.SubElement(root, xs("element"), name=name)
            inside = ET.SubElement(ET.SubElement(element, xs("complexType")), xs("sequence"))
            for part, it in parts:
                inside.append(self.typed(part, it, minOccurs="0", nillable="true"))
        ET.ElementTree(root).write(path)

    def typed(self, name, part, **more):
        """An element of a part's type."""
        if part.get("element"):     # in rpc style: an accessor with what the element holds
            wanted = qname(part, part.get("element"))
            part = next((it for tree, _, _, _ in self.definition.schemas if tree.get("targetNamespace") == wanted[0]
                         for it in tree.findall(xs("element")) if it.get("name") == wanted[1]), part)
            if part.find(xs("complexType")) is not None:
                return ET.fromstring(ET.tostring(part).replace(b'name="%s"' % wanted[1].encode(), b'name="%s"' % name.encode(), 1))
        where, local = usual(qname(part, part.get("type") or "xs:anyType"))
        element = ET.Element(xs("element"), name=name, nsmap={"p": where} if where else None, **more)
        prefix = {XS: "xs:", "": ""}.get(where, "p:")
        element.set("type", prefix + local)
        return element

    def write(self, tree, where, by_path, homes, path):
        before = Counter(self.left_out)
        if self.definition.encoded:
            tree.set("elementFormDefault", "unqualified")
        # one prefix that surely stands for XML Schema
        rooted = ET.Element(tree.tag, attrib=dict(tree.attrib), nsmap={**tree.nsmap, "xs-own": XS})
        rooted.extend(list(tree))
        tree = rooted
        for it in list(tree.iter(ET.Element)):
            kind = ET.QName(it).localname
            if kind == "import":
                it.getparent().remove(it)
            elif kind in ("include", "redefine"):
                there = by_path.get(os.path.realpath(os.path.join(where, it.get("schemaLocation"))))
                if there == os.path.basename(path):
                    it.getparent().remove(it)
                elif there:
                    it.set("schemaLocation", there)
            elif kind in ("any", "anyAttribute") and it.get("processContents") != "skip":
                it.set("processContents", "lax")        # what we put there has no declaration
                if it.get("namespace") not in (None, "##any", "##other"):
                    it.set("namespace", "urn:other")
            elif kind == "element" and it.get("name", "")[:1].isdigit():
                self.left_out["element that can't be called so"] += 1     # no schema has it, and no message
                it.getparent().remove(it)
            elif kind == "union":
                self.left_out[kind] += 1
                it.getparent().replace(it, ET.Element(xs("restriction"), base="xs-own:string"))
            elif kind == "all" and self.extended(it):
                it.tag = xs("sequence")
            elif kind == "enumeration" and usual(qname(it, it.getparent().get("base") or "")) in ORDERED:
                self.left_out["enumeration of numbers"] += 1
                it.getparent().remove(it)
            elif kind in FACETS and ET.QName(it).namespace == XS:
                self.left_out[kind] += 1
                it.getparent().remove(it)
            for name in ("type", "base", "itemType"):
                if it.get(name) and ET.QName(it).namespace == XS:
                    found = qname(it, it.get(name))
                    meant = usual(found)
                    if meant != found:
                        self.left_out[found[1]] += found[0] == XS
                        it.set(name, f"xs-own:{meant[1]}")
            if it.get("minOccurs") not in (None, "0", "1"):
                self.left_out["minOccurs over 1"] += 1
                it.set("minOccurs", "1")
            if kind == "element" and it.get("type") and any(
                    qname(it, it.get("type"))[1] == around.get("name") for around in it.iterancestors(xs("complexType"))):
                it.set("minOccurs", "0")                # one inside of itself for ever
            if kind in ("element", "attribute") and (it.get("default") or it.get("fixed")):
                it.attrib.pop("default", None)      # may not fit a type that has become text
            if kind == "restriction" and it.get("base") and qname(it, it.get("base")) in ((ENC, "Array"), (ENC12, "Array")):
                self.array(it)
        imports(tree, homes)
        ET.ElementTree(tree).write(path)
        if where == BUNDLED:
            self.left_out = before

    def extended(self, group):
        """Whether the type that it is of is extended, which XML Schema 1.0 doesn't allow for `all`."""
        name = group.getparent().get("name")
        bases = {qname(it, it.get("base"))[1] for tree, _, _, _ in self.definition.schemas for it in tree.iter(xs("extension"))}
        return group.getparent().tag == xs("extension") or name in bases

    def array(self, restriction):
        """An array of anything: what items are called, and how many, is nobody's business, unless a schema of literal
        messages says it."""
        content = restriction.getparent()
        around = content.getparent()
        said = None if self.definition.encoded else restriction.find(xs("sequence"))
        sequence = ET.Element(xs("sequence")) if said is None else said
        if said is None:
            ET.SubElement(sequence, xs("any"), namespace="##any", minOccurs="0", maxOccurs="unbounded", processContents="lax")
        around.replace(content, sequence)
        ET.SubElement(around, xs("anyAttribute"), namespace="##any", processContents="lax")


def declare(definition, schemas, headers):
    """The elements of rpc messages and of headers and faults that are named by type."""
    messages = {}
    for root in definition.wsdls:
        for message in root.findall(f"{{{WSDL}}}message"):
            messages[root.get("targetNamespace"), message.get("name")] = message
    parts = lambda message: [it for it in message if isinstance(it.tag, str) and ET.QName(it).localname == "part"]
    ports = {}
    for root in definition.wsdls:
        for port in root.findall(f"{{{WSDL}}}portType"):
            ports[root.get("targetNamespace"), port.get("name")] = port
    for binding in definition.all("binding"):
        soap = [it for ns in SOAPS for it in binding.findall(f"{{{ns}}}binding")]
        port = ports.get(qname(binding, binding.get("type")))
        if not soap or port is None:
            continue
        for operation in binding.findall(f"{{{WSDL}}}operation"):
            style = next((it.get("style") for ns in SOAPS for it in operation.findall(f"{{{ns}}}operation") if it.get("style")), soap[0].get("style"))
            abstract = next((it for it in port.findall(f"{{{WSDL}}}operation") if it.get("name") == operation.get("name")), None)
            namespace = None
            for kind, suffix in (("input", ""), ("output", "Response")):
                bound = operation.find(f"{{{WSDL}}}{kind}")
                meant = abstract.find(f"{{{WSDL}}}{kind}") if abstract is not None else None
                if bound is None or meant is None:
                    continue
                for it in bound:
                    if isinstance(it.tag, str) and ET.QName(it).localname == "header" and it.get("message"):
                        message = messages.get(qname(it, it.get("message")))
                        for part in parts(message) if message is not None else []:
                            if part.get("name") == it.get("part") and part.get("type"):
                                # where it isn't said: the definition's own
                                own = it.get("namespace") or binding.getparent().get("targetNamespace") or ""
                                headers.add(own, part.get("name"), [(None, part)])
                bodies = [it for it in bound.iter() if isinstance(it.tag, str) and ET.QName(it).namespace in SOAPS and ET.QName(it).localname == "body"]
                message = messages.get(qname(meant, meant.get("message")))
                for part in parts(message) if style != "rpc" and message is not None else []:
                    if part.get("type"):
                        schemas.add("", part.get("name"), [(None, part)])
                if style == "rpc" and bodies and message is not None:
                    chosen = bodies[0].get("parts")
                    used = [it for it in parts(message) if chosen is None or it.get("name") in chosen.split()]
                    # ours for both; some definitions have another one for what comes back
                    said = [bodies[0].get("namespace"), namespace, binding.getparent().get("targetNamespace")]
                    namespace = next(it for it in said if it is not None)
                    schemas.add(namespace, operation.get("name") + suffix, [(it.get("name"), it) for it in used])
            for it in abstract.findall(f"{{{WSDL}}}fault") if abstract is not None else []:
                message = messages.get(qname(it, it.get("message")))
                for part in parts(message) if message is not None else []:
                    if part.get("type"):    # no schema has an element for it; ours is called like the fault
                        schemas.add("", it.get("name"), [(None, part)])


def pieces(envelope):
    """What has to be valid, and whether it is a header block."""
    soap = ET.QName(envelope).namespace
    for it in envelope.findall(f"{{{soap}}}Header/*"):
        yield it, True
    for it in envelope.findall(f"{{{soap}}}Body/*"):
        is_fault = it.tag == f"{{{soap}}}Fault"
        for inner in it.findall("detail/*") + it.findall(f"{{{soap}}}Detail/*") if is_fault else [it]:
            yield inner, False


def standing_alone(piece):
    """As a document of its own, without what belongs to SOAP's encoding and not to a schema."""
    alone = ET.fromstring(ET.tostring(piece, with_tail=False, encoding="unicode"), parser)
    for it in alone.iter(ET.Element):
        for name in list(it.attrib):
            if name.startswith("{") and ET.QName(name).namespace in (ENV, ENV12):
                del it.attrib[name]
        ty = it.get(f"{{{XSI}}}type")
        where, local = qname(it, ty or "")
        if ty and (where == XS or (where, local) == (ENC, "Array")):
            del it.attrib[f"{{{XSI}}}type"]
    return alone


def main():
    definition = Definition(sys.argv[1])
    # apart, since an operation and a header may have the same name
    schemas, headers = Schemas(definition), Schemas(definition)
    declare(definition, schemas, headers)
    schema, of_headers = schemas.compile(), headers.compile()
    count, invalid, messages = 0, 0, sorted(os.listdir(sys.argv[2]))
    for name in messages:
        why = []
        for piece, is_header in pieces(ET.parse(os.path.join(sys.argv[2], name), parser).getroot()):
            count += 1
            judge = of_headers if is_header else schema
            if not judge.validate(standing_alone(piece)):
                why += [error.message for error in judge.error_log]
        if why:
            invalid += 1
            print(f"{name}: {'; '.join(why[:3])}")
    print(json.dumps({"messages": len(messages), "pieces": count, "invalid": invalid, "left_out": schemas.left_out}))


if __name__ == "__main__":
    main()
