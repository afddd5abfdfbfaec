#!/usr/bin/env python3
"""The manifests of tools/kubernetes, the profiles of system calls, and the Dockerfile. `test_kubernetes.py [NAME...]`."""

import ctypes
import os
import re
import shutil
import subprocess

import yaml

import harness
from harness import HERE, LIMIT, Program, load, main, mock, node, wait_until
from kustomize import build, pod_of

ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDER = f"{ROOT}/tools/kubernetes"
OVERLAYS = sorted(os.listdir(f"{FOLDER}/overlays"))


def run(*words, **options):
    return subprocess.run([*map(str, words)], capture_output=True, text=True, check=True, timeout=LIMIT, **options).stdout


def built(overlay):
    return build(f"{FOLDER}/overlays/{overlay}")


def named(resources, kind):
    return {r["metadata"]["name"]: r for r in resources if r["kind"] == kind}


def flags(command):
    return set(re.findall(r"^  --(?:\[no-\])?([a-z-]+)", run(harness.WIREBOOK, command, "--help"), re.M))


def matches(selector, labels):
    return selector and all(labels.get(key) == value for key, value in selector.items())


def kubectl_makes_the_same_of_the_overlays_as_the_tests_do(directory):
    """Where there is a kubectl that knows replacements; elsewhere the other tests stand on the plain reading alone."""
    if not shutil.which("kubectl") or subprocess.run(["kubectl", "kustomize", f"{FOLDER}/overlays/zone-a"], capture_output=True).returncode:
        print("no kubectl that builds these overlays is on this machine: nothing was compared")
        return
    for overlay in OVERLAYS:
        theirs = list(yaml.safe_load_all(run("kubectl", "kustomize", f"{FOLDER}/overlays/{overlay}")))
        hashed = {m for r in theirs if r["kind"] == "ConfigMap" for m in re.findall(r"-[a-z0-9]{10}$", r["metadata"]["name"])}
        assert len(hashed) == 1, "a change of the options restarts the pods, as it changes the name"
        theirs = [yaml.safe_load(yaml.safe_dump(r).replace(hashed.copy().pop(), "")) for r in theirs]
        ours = built(overlay)
        for resources in (theirs, ours):
            resources.sort(key=lambda r: (r["kind"], r["metadata"]["name"]))
        for a, b in zip(theirs, ours, strict=True):
            assert a == b, f"{overlay}: {a['kind']} {a['metadata']['name']}\n{a}\n{b}"


def every_name_a_manifest_refers_to_is_there(directory):
    for overlay in OVERLAYS:
        resources = built(overlay)
        keys = [(r["kind"], r["metadata"]["name"]) for r in resources]
        assert len(keys) == len(set(keys)), keys
        pods = [(r, pod_of(r)) for r in resources if pod_of(r)]
        for resource, pod in pods:
            containers = pod["spec"]["containers"]
            volumes = {v["name"]: v for v in pod["spec"].get("volumes", [])} | {c["metadata"]["name"]: c for c in resource["spec"].get("volumeClaimTemplates", [])}
            for volume in volumes.values():
                if "configMap" in volume:
                    config = named(resources, "ConfigMap")[volume["configMap"]["name"]]
                    assert "wirebook.yaml" in config["data"]
            mounts = [m["name"] for c in containers for m in c.get("volumeMounts", [])]
            assert sorted(mounts) == sorted(volumes), (mounts, volumes)
            if "serviceAccountName" in pod["spec"]:
                assert pod["spec"]["serviceAccountName"] in named(resources, "ServiceAccount")
        nodes = [(r, p) for r, p in pods if r["kind"] == "StatefulSet"]
        assert nodes, overlay
        for stateful, pod in nodes:
            labels = pod["metadata"]["labels"]
            assert matches(stateful["spec"]["selector"]["matchLabels"], labels)
            service = named(resources, "Service")[stateful["spec"]["serviceName"]]
            assert service["spec"]["clusterIP"] == "None" and matches(service["spec"]["selector"], labels)
            ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
            for kind, path in (("PodDisruptionBudget", ["selector", "matchLabels"]), ("NetworkPolicy", ["podSelector", "matchLabels"]),
                               ("PodMonitor", ["selector", "matchLabels"])):
                chosen = [r for r in named(resources, kind).values() if matches(r["spec"][path[0]][path[1]], labels)]
                assert len(chosen) == 1, f"{overlay}: {kind}: each pod is of one line, and scraped once: {chosen}"
            monitor = [m for m in named(resources, "PodMonitor").values() if matches(m["spec"]["selector"]["matchLabels"], labels)][0]
            assert all(end["port"] in ports and end["path"] == "/metrics" for end in monitor["spec"]["podMetricsEndpoints"])
            policy = [p for p in named(resources, "NetworkPolicy").values() if matches(p["spec"]["podSelector"]["matchLabels"], labels)][0]
            assert policy["spec"]["ingress"][0]["ports"][0]["port"] in ports
        for scaler in named(resources, "HorizontalPodAutoscaler").values():
            scaled = named(resources, scaler["spec"]["scaleTargetRef"]["kind"])[scaler["spec"]["scaleTargetRef"]["name"]]
            assert "replicas" not in scaled["spec"], "two would say how many"
            assert scaler["spec"]["behavior"]["scaleDown"] == {"selectPolicy": "Disabled"}
            assert str(scaler["spec"]["minReplicas"]) == pod_of(scaled)["metadata"]["annotations"]["wirebook-shards"]
    for bound in [r for r in built("autoscaled") if r["kind"] == "RoleBinding"]:
        assert bound["roleRef"]["name"] in named(built("autoscaled"), "Role")


def what_the_pods_run_is_what_the_program_knows(directory):
    for overlay in OVERLAYS:
        resources = built(overlay)
        for stateful in named(resources, "StatefulSet").values():
            container, = pod_of(stateful)["spec"]["containers"]
            assert container["command"] == ["wirebook"] and container["args"][0] == "run"
            # Written as a shell would hand them over, with the pod's number in place.
            env = {one["name"]: one.get("value", "") for one in container["env"]}
            assert set(env) - {"SHARD", "SHARDS", "WIREBOOK_LISTEN_TOKEN"} <= set(re.findall(r"\[([A-Z0-9_]+)\]$", run(harness.WIREBOOK, "run", "--help"), re.M))
            assert "WIREBOOK_LISTEN_TOKEN" in run(harness.WIREBOOK, "run", "--help")
            shards = pod_of(stateful)["metadata"]["annotations"]["wirebook-shards"]
            assert stateful["spec"].get("replicas", int(shards)) == int(shards), "as many shards as pods"
            mount = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "options")
            config, = named(resources, "ConfigMap").values() if len(named(resources, "ConfigMap")) == 1 else [
                c for n, c in named(resources, "ConfigMap").items() if any(v.get("configMap", {}).get("name") == n for v in pod_of(stateful)["spec"]["volumes"])]
            with open(f"{directory}/wirebook.yaml", "w") as file:
                file.write(config["data"]["wirebook.yaml"])
            carried = []
            for shard in range(int(shards)):
                words = [word.replace("$(SHARD)", str(shard)).replace("$(SHARDS)", shards).replace(f"{mount}/wirebook.yaml", f"{directory}/wirebook.yaml")
                         for word in container["args"]]
                assert not any("$(" in word for word in words), words
                told = run(harness.WIREBOOK, *words, "--check-config", env={**os.environ, "WIREBOOK_LISTEN": env["WIREBOOK_LISTEN"]})
                carried.append(re.search(r"^shard +(\S+)", told, re.M)[1])
            assert carried == [f"{shard}/{shards}" for shard in range(int(shards))]
            data = re.search(r"^data +(\S+)", told, re.M)[1]
            assert data in [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")], "all else is read-only"
            grace = float(re.search(r"^grace +(\S+)", told, re.M)[1])
            with open(f"{ROOT}/io/node_run.c") as file:
                waits = [int(ns) / 1e9 for ns in re.findall(r"(?:CLOSE|ARCHIVE)_TIMEOUT_NS = UINT64_C\((\d+)\)", file.read())]
            assert len(waits) == 2 and pod_of(stateful)["spec"]["terminationGracePeriodSeconds"] > grace + sum(waits)
            retained = int(re.search(r"^retain-bytes +(\d+)G", told, re.M)[1])
            assert retained < int(stateful["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"].rstrip("Gi"))
            assert int(env["WIREBOOK_LISTEN"].rsplit(":", 1)[1]) == container["ports"][0]["containerPort"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                program, command, *words = container[probe]["exec"]["command"]
                assert (program, command) == ("wirebook", "health") and {word[2:] for word in words} <= flags("health"), probe
                assert ("--ready" in words) == (probe == "readinessProbe"), "a book that is not live is no reason to be killed"
                told = run(harness.WIREBOOK, "health", "--check-config")
                assert container[probe]["timeoutSeconds"] > float(re.search(r"^timeout +(\S+)", told, re.M)[1])


def the_pods_have_no_right_that_they_do_not_need(directory):
    for overlay in OVERLAYS:
        for resource in built(overlay):
            pod = pod_of(resource)
            if not pod:
                continue
            assert pod["spec"]["securityContext"]["runAsNonRoot"] is True and pod["spec"]["securityContext"]["runAsUser"] > 0
            assert pod["spec"].get("automountServiceAccountToken") is False or resource["kind"] == "CronJob"
            for container in pod["spec"]["containers"]:
                own = container["securityContext"]
                assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True and own["capabilities"] == {"drop": ["ALL"]}
                assert "memory" in container["resources"]["limits"]
            if resource["kind"] == "StatefulSet":
                assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "Localhost", "localhostProfile": "wirebook.json"}
                assert container["resources"]["requests"] == container["resources"]["limits"], "guaranteed, so that CPUs can be its own"


def the_two_lines_never_share_a_zone(directory):
    lines = named(built("two-zones"), "StatefulSet")
    zones = []
    for name, stateful in lines.items():
        pod = pod_of(stateful)
        term, = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        zones.append(term["matchExpressions"][0]["values"])
        apart, = pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert apart["topologyKey"] == "topology.kubernetes.io/zone"

        def avoided(labels):
            return all((labels.get(e["key"]) in e["values"]) == (e["operator"] == "In") for e in apart["labelSelector"]["matchExpressions"])
        assert [other for other in lines if avoided(pod_of(lines[other])["metadata"]["labels"])] == [other for other in lines if other != name]
    assert len(lines) == 2 and zones[0] != zones[1], zones


# ---------------------------------------------------------------------------------------------- system calls


def profile_names(path):
    profile = load(path)
    return profile, {name for rule in profile["syscalls"] for name in rule["names"]}


def the_profile_of_the_pods_allows_what_a_confined_node_may_and_nothing_that_is_denied_to_its_commands(directory):
    profile, allowed = profile_names(f"{FOLDER}/seccomp.json")
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO" and {rule["action"] for rule in profile["syscalls"]} == {"SCMP_ACT_ALLOW"}
    with open(f"{ROOT}/io/confine_calls.c") as file:
        source = file.read()
    listed, denied = (set(re.findall(r'"(\w+)"', re.search(rf"{name}\[\] = \{{(.*?)\}};", source, re.S)[1])) for name in ("listed", "denied"))
    some = set(re.findall(r"SCMP_SYS\((\w+)\)", source))
    assert set(profile["syscalls"][0]["names"]) == listed | some, "the first rule is the list of io/confine_calls.c"
    assert not allowed & (denied - {"io_uring_setup"}), allowed & denied
    names = [name for rule in profile["syscalls"] for name in rule["names"]]
    assert len(names) == len(set(names))


def filtered():
    """To be called in a child: from now on only what the profile of the pods allows."""
    profile = load(f"{FOLDER}/seccomp.json")
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    error, allow = 0x00050000 | profile["defaultErrnoRet"], 0x7FFF0000
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(error)))
    for name in profile["syscalls"][0]["names"] + profile["syscalls"][1]["names"]:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and seccomp.seccomp_rule_add(context, ctypes.c_uint32(allow), number, 0) != 0:
            raise OSError(f"no rule for {name}")
    if seccomp.seccomp_load(context) != 0:
        raise OSError("no filter")


def a_node_does_all_its_work_under_the_profile_of_the_pods(directory):
    """Rotates, compresses, runs a command, listens, confines itself, and is asked for its health, as the pods do."""
    exchange = mock("--product", "BTC-USD", "--rate", 500)
    program = node(exchange.url.replace("127.0.0.1", "localhost"), directory, "--rotate-bytes", "64k", "--compress", "zstd", "--on-seal",
                   f"sh -c 'echo \"$1\" >> {directory}/handed' sh", "--listen", "127.0.0.1:0", "--confine", "try", "--confine-allow", f"write:{directory}",
                   "--layout", "pipelined", prepare=filtered)
    program.wait_for("listening at ")
    at = re.search(r"listening at http://(\S+)", program.out["stderr"])[1]
    wait_until(lambda: Program("health", "--ready", "--listen", at, prepare=filtered).wait() == 0, "ready")
    wait_until(lambda: program.pump(0.05) or os.path.exists(f"{directory}/handed"), "a segment is handed over")
    program.signal()
    program.ends(0)
    exchange.signal()
    report = load(f"{directory}/report.json")
    assert report["products"]["BTC-USD"]["updates"] > 0 and report["archive"]["compressed"] >= 1 and report["archive"]["failures"] == 0, report["archive"]
    assert subprocess.run(["unshare", "-U", "true"], preexec_fn=filtered, capture_output=True).returncode != 0, "the filter is one"


# ---------------------------------------------------------------------------------------------- the image


def instructions():
    with open(f"{ROOT}/Dockerfile") as file:
        text = re.sub(r"\\\n", " ", "".join(line for line in file if not line.startswith("#")))
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def what_the_image_is_built_of_is_in_its_context(directory):
    """Configures in a copy of what the build is sent. Whether the packages install on the base image only a build can show."""
    with open(f"{ROOT}/.dockerignore") as file:
        kept = [line[1:].strip() for line in file if line.startswith("!")]
    files = run("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", *kept).splitlines()
    for name in files:
        os.makedirs(os.path.dirname(f"{directory}/{name}"), exist_ok=True)
        shutil.copy(f"{ROOT}/{name}", f"{directory}/{name}")
    copied = [words.split()[:-1] for what, words in instructions() if what == "COPY" and "--from" not in words]
    assert copied and all(os.path.exists(f"{directory}/{name}") for names in copied for name in names), copied
    runs = [words for what, words in instructions() if what == "RUN"]
    assert runs[0] == "tools/setup package" and runs[1] == "tools/package", "the image is of the packages, not of steps of its own"
    run("cmake", "--preset", "package", cwd=directory)
    run("ninja", "-n", "-C", "build/package", cwd=directory)
    for script in ("build/package/cmake_install.cmake", "build/package/tools/install/cmake_install.cmake"):
        with open(f"{directory}/{script}") as file:
            needed = [path for path in re.findall(r'"(/[^"$*]+)"', file.read()) if path.startswith(f"{directory}/") and "/build/" not in path]
        assert needed and all(os.path.exists(path) for path in needed), needed


def the_image_runs_without_root_and_says_how_it_is(directory):
    told = dict(instructions())  # the last of each
    assert told["USER"] == "10001:10001" and told["STOPSIGNAL"] == "SIGTERM" and "licenses" in told["LABEL"]
    with open(f"{ROOT}/CMakeLists.txt") as file:
        version = re.search(r"^project\(wirebook VERSION (\S+)", file.read(), re.M)[1]
    for path in ("docker-compose.yml", "tools/kubernetes/base/statefulset.yaml"):
        with open(f"{ROOT}/{path}") as file:
            images = re.findall(r"image: wirebook:(\S+)", file.read())
        assert images and set(images) == {version}, (path, images)
    pods = built("zone-a")
    assert pod_of(named(pods, "StatefulSet")["wirebook-a"])["spec"]["securityContext"]["runAsUser"] == 10001
    asks = told["HEALTHCHECK"].split(" CMD ", 1)[1]
    path = {"PATH": f"{os.path.dirname(harness.WIREBOOK)}:{os.environ['PATH']}"}
    for listen, code in (("", 0), ("127.0.0.1:1", 1), ("nowhere", 2)):
        assert subprocess.run(["sh", "-c", asks], env={**path, "WIREBOOK_LISTEN": listen}, capture_output=True, timeout=LIMIT).returncode == code, listen


if __name__ == "__main__":
    main(globals())
