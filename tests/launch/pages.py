"""Checks the pages that commands write."""
import html.parser
import xml.etree.ElementTree


def check(test, path):
    """The page is well-formed, both as XML and as HTML, and reads nothing from elsewhere. Returns its text."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    root = xml.etree.ElementTree.fromstring(text)
    name = "{http://www.w3.org/1999/xhtml}"
    test.assertEqual(root.tag, name + "html")
    test.assertEqual(list(root.iter(name + "script")), [])
    for element in root.iter():
        test.assertEqual({"src", "href"} & set(element.attrib), set(), element.tag)
    html.parser.HTMLParser().feed(text)
    test.assertGreater(len(list(root.iter("{http://www.w3.org/2000/svg}svg"))), 0)
    for element in root.iter():
        if element.tag.startswith("{http://www.w3.org/2000/svg}"):
            test.assertNotRegex(" ".join(element.attrib.values()), r"\b(nan|-?inf)\b")
    return root
