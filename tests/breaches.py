"""For each rule of `scaffold check`, files that break it and files that do not."""

PIN = "a" * 40
ALERT = """\
groups:
- name: alerts
  rules:
  - alert: ErrorsBurn
    expr: {expr}
    labels: {{severity: page, owner: platform}}
    annotations: {{runbook: ops/runbook.md#errorsburn}}
"""
UNOWNED_ALERT = "groups:\n- rules:\n  - {alert: Down, expr: up == 0, labels: {severity: page}}\n"
RECORDED = "groups:\n- rules:\n  - {{record: 'job:errors:ratio5m', expr: up}}\n"
RECORDED += "  - {{alert: A, expr: 'job:{name}:ratio5m > 0.1', labels: {{owner: a, severity: b}},"
RECORDED += " annotations: {{runbook: c}}}}\n"
SLO = "owners: {{data: '@data'}}\nobjectives:\n  freshness_hours: {{target: 48, owner: {owner}}}\n"
DVC = "stages:\n  train:\n    cmd: python -m flights.train\n    deps: [{dep}]\n    outs: [model]\n"
CODE = {"src/flights/__init__.py": "", "src/flights/train.py": "print()\n"}
WORKFLOW = "jobs:\n  test:\n    steps:\n      - {{run: {run}}}\n"
OLD = {"reports/rehearsal.json": '{"started": 1}'}
OPENSLO = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: a, annotations: {notes}}}\n"
OPENSLO += "spec: {{objectives: []}}\n"
STEP = ".github/workflows/ci.yml"
CONFLICT = "one\n" + "<" * 7 + " ours\na\n" + "=" * 7 + "\nb\n" + ">" * 7 + " theirs\n"
SUM = "37b128c59f1f5097f73f82691cb519f1f568667faab5ced1b4ab979d36837eae"  # of "a: 1" and its end

BROKEN: dict[str, list[dict[str, str]]] = {
    "SC001": [
        {"slo.yaml": SLO.format(owner="nobody")},
        {"o.yml": OPENSLO.format(notes="{}")},
        {"sloth.yml": "version: prometheus/v1\nslos:\n- {name: requests, objective: 99.9}\n"},
    ],
    "SC002": [{"rules.yml": UNOWNED_ALERT}],
    "SC003": [
        {"rules.yml": ALERT.format(expr="job:errors:ratio1h > (14.4 * (1 - 0.93))")},
        {"rules.yml": ALERT.format(expr="slo:bad:increase1h > 1.3 * slo:all:increase1h")},
        {"rules.yml": ALERT.format(expr="sum(rate(e[1h])) / sum(rate(a[1h])) > 14.4 * (1-0.9)")},
    ],
    "SC004": [{"rules.yml": RECORDED.format(name="failures")}],
    "SC005": [
        {"dvc.yaml": DVC.format(dep="data/raw.csv"), **CODE},
        {"dvc.yaml": DVC.format(dep="src"), "src/flights/__init__.py": ""},
        {"dvc.yaml": "stages:\n  train:\n    cmd: python train.py\n"},
        {"dvc.yaml": "stages: {a: {cmd: python -m steps.gone}}", "steps/here.py": ""},
        {"ml/dvc.yaml": "stages:\n  a:\n    cmd: echo\n    params: [{conf.yaml: [seed]}]\n"},
    ],
    "SC006": [
        {STEP: WORKFLOW.format(run="bash tools/deploy.sh")},
        {
            STEP: WORKFLOW.format(run="make deploy"),
            "Makefile": "test:\n\tls\n",
        },
        {STEP: "jobs: {a: {steps: [{uses: ./.github/actions/gone}]}}"},
        {STEP: "jobs: {a: {uses: ./.github/workflows/gone.yml}}"},
        {"Makefile": "test:\n\tbash tools/gone.sh\n"},
        {STEP: WORKFLOW.format(run="pip install -r gone.txt")},
        {STEP: WORKFLOW.format(run="dvc pull && dvc repro")},
    ],
    "SC007": [
        {"deploy/kustomization.yaml": "resources: [service.yaml]\n"},
        {"deploy/kustomization.yaml": "patches: [{path: more.yaml}]\n"},
        {"compose.yaml": "services: {api: {build: {context: api, dockerfile: Dockerfile}}}\n"},
        {"prometheus.yml": "rule_files: [rules.yml]\n"},
    ],
    "SC008": [
        {
            "ops/derived/SHA256SUMS": f"{'0' * 64}  ops/derived/a.yml\n",
            "ops/derived/a.yml": "a: 1\n",
        }
    ],
    "SC009": [
        {STEP: "jobs: {}\n#\n      - uses: actions/checkout@v4\n"},
        {STEP: "    - uses: docker://alpine:3\n"},
    ],
    "SC011": [{"train.py": CONFLICT}],
    "SC012": [
        {"dvc.yaml": "stages: [\n"},
        {STEP: "a: b: c\n"},
        {"reports/rehearsal.json": "{"},
        {"params.yaml": "date: 2024-99-99\n"},
    ],
    "SC013": [{"slo.yaml": "peak_rps: 1\n", **OLD}],
}

FINE: dict[str, list[dict[str, str]]] = {
    "SC001": [
        {"slo.yaml": SLO.format(owner="data")},
        {"o.yml": OPENSLO.format(notes="{owner: b}")},
        {"sloth.yml": "version: prometheus/v1\nlabels: {team: a}\nslos:\n- {name: requests}\n"},
    ],
    "SC002": [{"rules.yml": ALERT.format(expr="up == 0")}],
    "SC003": [
        {"rules.yml": ALERT.format(expr="job:errors:ratio1h > (14.4 * (1 - 0.999))")},
        {"rules.yml": ALERT.format(expr="slo:bad:increase1h > 0.07 * slo:all:increase1h")},
        {"rules.yml": ALERT.format(expr="queue_length > 100")},
        {"rules.yml": ALERT.format(expr="job:duration_seconds:p99 > 10")},
        {"rules.yml": ALERT.format(expr="100 * job:errors:ratio5m > 5")},
        {"rules.yml": ALERT.format(expr="a:ratio > 2 * (1 - 0.2) or b:ratio > 0.1")},
    ],
    "SC004": [{"rules.yml": RECORDED.format(name="errors")}],
    "SC005": [
        {"dvc.yaml": DVC.format(dep="data/raw.csv"), "data/raw.csv.dvc": "outs: []\n", **CODE},
        {"dvc.yaml": DVC.format(dep="src/flights"), **CODE},
        {"dvc.yaml": "stages:\n  a: {cmd: x, outs: [data]}\n  b: {deps: [data/part.csv]}\n"},
        {"dvc.yaml": "stages:\n  a: {cmd: python -m pytest, deps: ['s3://bucket/a', '${path}']}\n"},
    ],
    "SC006": [
        {STEP: WORKFLOW.format(run="bash tools/a.sh"), "tools/a.sh": "ls\n"},
        {
            STEP: WORKFLOW.format(run="make -s test"),
            "Makefile": "a test: b\n\tls\n",
        },
        {STEP: WORKFLOW.format(run="curl a > get.sh && bash get.sh")},
        {STEP: WORKFLOW.format(run="cd sub && bash there.sh")},
        {STEP: WORKFLOW.format(run="if [ -f a.txt ]; then pip install -r a.txt; fi")},
        {STEP: WORKFLOW.format(run="dvc repro"), "ml/dvc.yaml": "stages: {}\n"},
        {
            STEP: "jobs: {a: {steps: [{uses: ./act}]}}",
            "act/action.yml": "runs: {}\n",
        },
        {
            STEP: WORKFLOW.format(run="make any"),
            "Makefile": "include more.mk\n",
        },
    ],
    "SC007": [
        {
            "deploy/kustomization.yaml": "resources: [service.yaml]\n",
            "deploy/service.yaml": "a: 1\n",
        },
        {"kustomization.yaml": "resources: ['https://host/a.yaml', github.com/a/b//c]\n"},
        {"compose.yaml": "services: {api: {build: .}, cache: {image: redis}}\n"},
        {"prometheus.yml": "rule_files: [/etc/rules.yml, 'rules/*.yml']\n"},
        {"prometheus.yml": "rule_files: [alerts.yml]\n", "ops/alerts.yml": "groups: []\n"},
    ],
    "SC008": [
        {"ops/derived/SHA256SUMS": f"{SUM}  ops/derived/a.yml\n", "ops/derived/a.yml": "a: 1\n"}
    ],
    "SC009": [
        {STEP: f"    - uses: actions/checkout@{PIN} # v4\n    - uses: ./act\n"},
    ],
    "SC011": [{"train.py": "one\n" + "=" * 7 + "\n", "page.md": f"{'<' * 7} is how it opens\n"}],
    "SC012": [
        {"dvc.yaml": "stages: {}\n", STEP: "on: push\njobs: {}\n"},
        {"charts/prometheus.yaml": "a: {{ .Values.a }}: b\n"},
    ],
    "SC013": [{"slo.yaml": "peak_rps: 1\n", "reports/rehearsal.json": '{"started": 99999999999}'}],
}
