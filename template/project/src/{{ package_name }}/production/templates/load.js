// {{ mark }}
// Requests arrive at the promised rate whether or not answers come back (an open model): a test in
// which clients wait for each other would hide a stall.
import http from "k6/http";
import { Rate } from "k6/metrics";
import { SharedArray } from "k6/data";
import exec from "k6/execution";

const FACTOR = Number(__ENV.RATE_FACTOR || 1);
const RATE = Math.ceil({{ peak_rps }} * FACTOR);
const URL = __ENV.URL || "http://127.0.0.1:{{ ports.proxy }}/predict";
const HEADERS = { "Content-Type": "application/json" };

const payloads = new SharedArray("payloads", () =>
  JSON.parse(open(__ENV.PAYLOADS || "../../run/payloads.json")).map((body) => JSON.stringify(body)),
);
const shed = new Rate("shed"); // told to come back later: 429 or 503
const failed = new Rate("failed"); // anything else than an answer
http.setResponseCallback(http.expectedStatuses(200, 429, 503));

export const options = {
  scenarios: {
    peak: {
      executor: "constant-arrival-rate",
      rate: RATE,
      timeUnit: "1s",
      duration: __ENV.DURATION || "20s",
      preAllocatedVUs: Number(__ENV.VUS || Math.ceil(RATE * {{ stall_s }})), // rate x worst stall
    },
  },
  // Above the promised peak the answer may be "later"; what is answered is answered in time.
  thresholds: {
    failed: ["rate<={{ availability_budget }}"],
    shed: [FACTOR > 1 ? "rate<1" : "rate<={{ availability_budget }}"],
    "http_req_duration{status:200}": ["p(99)<={{ latency_p99_ms }}"],
    dropped_iterations: ["count==0"],
  },
  summaryTrendStats: ["avg", "p(50)", "p(99)", "max"],
};

export default function () {
  const body = payloads[exec.scenario.iterationInTest % payloads.length];
  const answer = http.post(URL, body, { headers: HEADERS, timeout: "{{ stall_s }}s" });
  const later = answer.status === 429 || answer.status === 503;
  shed.add(later);
  failed.add(!later && answer.status !== 200);
}
