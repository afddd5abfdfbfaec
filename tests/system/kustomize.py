"""As much of kustomize as tools/kubernetes uses, slow and plain: resources, components, labels, suffixes, patches by JSON pointer, replicas, replacements."""

import copy
import os

import yaml

WORKLOADS = ("StatefulSet", "CronJob")
TEMPLATES = {"StatefulSet": ["spec", "template"], "CronJob": ["spec", "jobTemplate", "spec", "template"]}
SELECTORS = {"StatefulSet": ["spec", "selector", "matchLabels"], "Service": ["spec", "selector"], "PodDisruptionBudget": ["spec", "selector", "matchLabels"],
             "NetworkPolicy": ["spec", "podSelector", "matchLabels"]}
KNOWN = {"apiVersion", "kind", "resources", "components", "labels", "nameSuffix", "configMapGenerator", "patches", "replicas", "replacements", "images"}


def at(tree, path, make=False):
    for key in path:
        if isinstance(tree, dict) and key not in tree and make:
            tree[key] = {}
        tree = tree[key]
    return tree


def pod_of(resource):
    """The pod of a workload, None of anything else."""
    return at(resource, TEMPLATES[resource["kind"]]) if resource["kind"] in WORKLOADS else None


def patched(resource, steps):
    for step in steps:
        path = [key.replace("~1", "/").replace("~0", "~") for key in step["path"].split("/")[1:]]
        where = at(resource, path[:-1])
        if step["op"] == "remove":
            del where[path[-1]]
        else:
            assert step["op"] in ("add", "replace"), step
            where[path[-1]] = copy.deepcopy(step["value"])


def renamed(resources, suffix):
    """Every name, and every place that names one of these resources."""
    names = {(r["kind"], r["metadata"]["name"]) for r in resources}

    def to(kind, name):
        return name + suffix if (kind, name) in names else name
    for resource in resources:
        spec, pod = resource.get("spec", {}), pod_of(resource)
        if "serviceName" in spec:
            spec["serviceName"] = to("Service", spec["serviceName"])
        if "scaleTargetRef" in spec:
            spec["scaleTargetRef"]["name"] = to(spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"])
        for one in resource.get("subjects", []) + [resource[key] for key in ("roleRef",) if key in resource]:
            one["name"] = to(one["kind"], one["name"])
        for volume in pod["spec"].get("volumes", []) if pod else []:
            if "configMap" in volume:
                volume["configMap"]["name"] = to("ConfigMap", volume["configMap"]["name"])
        if pod and "serviceAccountName" in pod["spec"]:
            pod["spec"]["serviceAccountName"] = to("ServiceAccount", pod["spec"]["serviceAccountName"])
    for resource in resources:
        resource["metadata"]["name"] += suffix


def label(resources, how):
    for resource in resources:
        resource["metadata"].setdefault("labels", {}).update(how["pairs"])
        pod = pod_of(resource)
        if pod and how.get("includeTemplates"):
            pod.setdefault("metadata", {}).setdefault("labels", {}).update(how["pairs"])
            for claim in resource["spec"].get("volumeClaimTemplates", []):
                claim["metadata"].setdefault("labels", {}).update(how["pairs"])
        if resource["kind"] in SELECTORS and how.get("includeSelectors"):
            at(resource, SELECTORS[resource["kind"]]).update(how["pairs"])
        if resource["kind"] == "StatefulSet" and how.get("includeSelectors"):
            for spread in pod["spec"].get("topologySpreadConstraints", []):
                spread["labelSelector"]["matchLabels"].update(how["pairs"])
        for field in how.get("fields", []):
            if field["kind"] == resource["kind"]:
                at(resource, field["path"].split("/")).update(how["pairs"])


def build(folder, resources=None):
    """All resources of an overlay; those of what a component is added to are given."""
    with open(f"{folder}/kustomization.yaml") as file:
        told = yaml.safe_load(file)
    assert set(told) <= KNOWN, set(told) - KNOWN
    found = resources if resources is not None else []
    for name in told.get("resources", []):
        if os.path.isdir(f"{folder}/{name}"):
            found += build(f"{folder}/{name}")
        else:
            with open(f"{folder}/{name}") as file:
                found += yaml.safe_load_all(file)
    for name in told.get("components", []):
        build(f"{folder}/{name}", found)
    for made in told.get("configMapGenerator", []):
        data = {os.path.basename(name): open(f"{folder}/{name}").read() for name in made["files"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data})
    for patch in told.get("patches", []):
        with open(f"{folder}/{patch['path']}") as file:
            steps = yaml.safe_load(file)
        for resource in [r for r in found if r["kind"] == patch["target"]["kind"]]:
            patched(resource, steps)
    for count in told.get("replicas", []):
        for resource in found:
            if resource["kind"] == "StatefulSet" and resource["metadata"]["name"] == count["name"]:
                resource["spec"]["replicas"] = count["count"]
    renamed(found, told.get("nameSuffix", ""))
    for how in told.get("labels", []):
        label(found, how)
    for image in told.get("images", []):
        for container in [c for r in found if pod_of(r) for c in pod_of(r)["spec"]["containers"]]:
            if container["image"].split(":")[0] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    for replacement in told.get("replacements", []):
        source = next(r for r in found if r["kind"] == replacement["source"]["kind"])
        value = at(source, replacement["source"]["fieldPath"].split("."))
        for target in replacement["targets"]:
            for resource in [r for r in found if r["kind"] == target["select"]["kind"]]:
                for path in target["fieldPaths"]:
                    *where, last = path.split(".")
                    at(resource, where)[last] = type(at(resource, where)[last])(value)
    return found
