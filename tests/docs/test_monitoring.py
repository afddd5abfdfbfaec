"""What watches a node: rules and alerts of Prometheus, the dashboard of Grafana, and that a node tells all that they ask for."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"), os.path.dirname(os.path.abspath(__file__))]
import harness  # noqa: E402
import pages  # noqa: E402
from pages import ROOT  # noqa: E402

PROMTOOL = f"{ROOT}/build/promtool/promtool"
RULES = f"{ROOT}/tools/prometheus"
BUILT_IN = {"__rate_interval"}


def promtool(*words, cwd, code=0):
    if not os.path.exists(PROMTOOL):
        print("no promtool here (tools/promtool)")
        sys.exit(77)
    done = subprocess.run([PROMTOOL, *words], cwd=cwd, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert (done.returncode != 0) == (code != 0), f"promtool {words} ended with {done.returncode}:\n{said[-6000:]}"
    return said


def read(path):
    with open(path) as file:
        return file.read()


def rules():
    """(alert or record, name, expr) of each rule."""
    found = re.findall(r"- (alert|record): (\S+)\n\s+expr: (.+)", read(f"{RULES}/rules.yml"))
    assert len(found) > 15, found
    return found


def dashboard():
    return json.loads(read(f"{ROOT}/tools/grafana/wirebook.json"))


def queries(board):
    return [(panel, target) for panel in board["panels"] for target in panel.get("targets", ())]


def the_rules_hold_and_every_alert_comes_when_it_should_and_not_when_it_should_not(directory):
    promtool("check", "rules", "rules.yml", cwd=RULES)
    promtool("test", "rules", "rules_test.yml", cwd=RULES)
    # An alert that never came, or always, would be found: by name.
    shutil.copy(f"{RULES}/rules_test.yml", directory)
    for planted in ("vector(0) > 1", "vector(1)"):
        with open(f"{directory}/rules.yml", "w") as file:
            file.write(re.sub(r"(- alert: .*\n\s+expr: ).+", lambda found: found[1] + planted, read(f"{RULES}/rules.yml")))
        said = promtool("test", "rules", "rules_test.yml", cwd=directory, code=1)
        for kind, name, _ in rules():
            assert kind != "alert" or f"alertname: {name}," in said, f"an alert {name} of `{planted}` was not found:\n{said[-3000:]}"
    tested = read(f"{RULES}/rules_test.yml")
    for kind, name, _ in rules():
        assert kind != "record" or f"expr: {name}" in tested, f"nothing looks at {name}"


def every_alert_says_how_bad_it_is_and_where_to_read_on(directory):
    operations = read(f"{ROOT}/docs/operations.md")
    anchors = {pages.slug(title) for _, title in pages.headings(operations.splitlines())}
    runbooks = set()
    for name, rest in re.findall(r"- alert: (\S+)\n(.*?)(?=\n\s*- alert:|\Z)", read(f"{RULES}/rules.yml"), re.S):
        for wanted in (r"severity: (critical|warning)\n", r'summary: ".+"', r'description: ".{40,}"'):
            assert re.search(wanted, rest), f"{name}: no {wanted}"
        anchor = re.search(r"runbook: docs/operations\.md#([\w-]+)", rest)
        assert anchor and anchor[1] in anchors, f"{name}: its runbook is not there"
        section = "\n".join(pages.section(operations, next(title for _, title in pages.headings(operations.splitlines()) if pages.slug(title) == anchor[1])))
        severity = re.search(r"severity: (\w+)", rest)[1]
        assert section.strip().startswith(f"`{name}`, {severity}: "), f"{name}: another alert's runbook, or another severity"
        runbooks.add(anchor[1])
    assert len(runbooks) >= 9, runbooks


def the_dashboard_is_one_that_grafana_imports(directory):
    board = dashboard()
    assert board["schemaVersion"] >= 36 and board["uid"] and board["title"] and "id" not in board
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) and all(isinstance(number, int) for number in ids)
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(0 <= place["x"] and place["x"] + place["w"] <= 24 and place["w"] > 0 and place["h"] > 0 for place in places)
    for a, b in itertools.combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{a} lies over {b}"
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert list(variables) == ["datasource", "instance", "product"] and variables["datasource"]["type"] == "datasource"
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]) + json.dumps(board["templating"]))) - {"__all"}
    assert used <= variables.keys() | BUILT_IN, used - variables.keys()
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert all(variable["datasource"] == source for name, variable in variables.items() if name != "datasource")
    assert all(panel["datasource"] == source for panel in board["panels"] if panel["type"] != "row")
    for panel in board["panels"]:
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(references) == len(set(references)), panel["title"]
        assert panel["type"] == "row" or references, panel["title"]
    for panel, target in queries(board):
        assert target["datasource"] == source, panel["title"]
        for name, selector in re.findall(r"\b(wirebook_\w+)(\{[^}]*\})?", target["expr"]):
            assert 'instance=~"$instance"' in selector, f"{panel['title']}: {name} of all nodes"
            assert "product=" not in selector or 'product=~"$product"' in selector, panel["title"]
    titles = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert titles[:3] == ["Overview", "Latency", "Lines"] and {"Store", "Products"} <= set(titles), titles


def plain(expr):
    """A query of the dashboard as Prometheus knows it."""
    return expr.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$product", ".*")


def the_queries_of_the_dashboard_are_promql(directory):
    def checked(found, code=0):
        with open(f"{directory}/queries.yml", "w") as file:
            json.dump({"groups": [{"name": "dashboard", "rules": [{"record": f"dashboard:{number}", "expr": expr} for number, expr in enumerate(found)]}]}, file)
        return promtool("check", "rules", "queries.yml", cwd=directory, code=code)
    found = [plain(target["expr"]) for _, target in queries(dashboard())]
    assert len(found) > 30, found
    checked(found)
    checked(found + ["rate(wirebook_messages_total[1m]"], code=1)


def asked_for():
    """(metric, label) of all that rules and dashboard look at; no label: the metric alone."""
    exprs = [(name, expr) for _, name, expr in rules()] + [(panel["title"], target["expr"] + "{{" + target.get("legendFormat", "") + "}}") for panel, target in queries(dashboard())]
    exprs += [("variable", variable["definition"].replace("label_values(", "")) for variable in dashboard()["templating"]["list"] if "definition" in variable]
    for where, expr in exprs:
        for name, selector in re.findall(r"(?<![:\w])(wirebook_\w+)(\{[^}]*\})?", expr.split("{{")[0]):
            yield where, name, None
            for label in re.findall(r"[{,]\s*(\w+)\s*(?:=|!)", selector):
                yield where, name, label
        grouped = [label for labels in re.findall(r"\b(?:by|without|on) ?\(([^)]*)\)", expr) for label in re.findall(r"\w+", labels)]
        shown = re.findall(r"\{\{\s*(\w+)\s*\}\}", expr)
        names = re.findall(r"(?<![:\w])(wirebook_\w+)", expr.split("{{")[0])
        for label in grouped + shown:
            yield where, names[0] if names else None, label


def not_told(told):
    """What of it a node's metrics lack; {name: labels}."""
    scraped = {"instance", "job"}  # by Prometheus itself
    for where, name, label in asked_for():
        if name and name not in told:
            yield f"{where}: no node tells {name}"
        elif name and label and label not in told[name] | scraped:
            yield f"{where}: {name} has no label {label}"


def named_by_the_page():
    """Metrics that stand in the page's table, lists in braces written out."""
    for code in re.findall(r"`(wirebook_[^`.]+)`", "\n".join(pages.section(read(f"{ROOT}/docs/api.md"), "Metrics"))):
        before, several, behind = re.match(r"(\w+)(?:\{([\w,]+)\})?(\w*)", code).groups()
        yield from (f"{before}{one}{behind}" for one in (several.split(",") if behind else [""]))


def metrics_of(text):
    told = {}
    for line in text.splitlines():
        if found := re.match(r"([a-zA-Z_]\w*)(?:\{(.*)\})? \S+$", line):
            told.setdefault(found[1], set()).update(re.findall(r'(\w+)="', found[2] or ""))
    return told


def a_node_tells_every_metric_and_label_that_rules_and_dashboard_ask_for(directory):
    exchange = harness.mock("--product", "BTC,ETH", "--rate", 200, "--levels", 50)
    node = harness.node(exchange.url, directory, "--product", "BTC,ETH", "--lines", 2, "--listen", "127.0.0.1:0")
    node.wait_for("line B connected to")
    node.wait_for("listening at ")
    url = node.out["stderr"].split("listening at ")[1].split()[0]

    def all_live():
        with urllib.request.urlopen(f"{url}/metrics", timeout=harness.LIMIT) as answer:
            told["text"] = answer.read().decode()
        return 'wirebook_products{state="live"} 2' in told["text"]
    told = {}
    harness.wait_until(all_live, "live books")
    node.signal()
    node.ends(0)
    metrics = metrics_of(told["text"])
    wrong = sorted(set(not_told(metrics)))
    wrong += [f"docs/api.md: no node tells {name}" for name in named_by_the_page() if not {name, f"{name}_bucket"} & metrics.keys()]
    assert len(list(named_by_the_page())) > 20
    assert not wrong, "\n".join(wrong)
    assert len({name for _, name, _ in asked_for()}) > 35
    for planted in ({name: labels for name, labels in metrics.items() if name != "wirebook_messages_total"},
                    {**metrics, "wirebook_rejected_messages_total": set()}, {**metrics, "wirebook_line_live": {"other"}}):
        assert list(not_told(planted))


def the_pages_show_configurations_that_prometheus_takes(directory):
    os.symlink(f"{ROOT}/tools", f"{directory}/tools")
    shown = [block for block in pages.blocks("yaml") if block.mark == "prometheus"]
    assert any("rule_files" in block.text for block in shown)
    for block in shown:
        with open(f"{directory}/prometheus.yml", "w") as file:
            file.write(block.text)
        said = promtool("check", "config", "prometheus.yml", cwd=directory)
        assert "rule_files" not in block.text or "rules found" in said, said


if __name__ == "__main__":
    harness.main(globals())
