// Closed: CLIENTS wait for each other's turn. Open: RATE requests leave per second, whatever comes back.
import exec from "k6/execution";
import http from "k6/http";
import { Counter } from "k6/metrics";
import { SharedArray } from "k6/data";

const payloads = new SharedArray("payloads", () =>
  JSON.parse(open(__ENV.PAYLOADS)).map((body) => JSON.stringify(body)),
);
const failed = new Counter("failed");
const open_model = {
  executor: "constant-arrival-rate",
  rate: Number(__ENV.RATE),
  timeUnit: "1s",
  preAllocatedVUs: 200,
};
const closed_model = { executor: "constant-vus", vus: Number(__ENV.CLIENTS) };

export const options = {
  discardResponseBodies: true,
  scenarios: {
    load: Object.assign(__ENV.RATE ? open_model : closed_model, { duration: __ENV.DURATION }),
  },
  summaryTrendStats: ["p(50)", "p(99)"],
};

export default function () {
  const body = payloads[exec.scenario.iterationInTest % payloads.length];
  const answer = http.post(__ENV.URL, body, { headers: { "Content-Type": "application/json" } });
  if (answer.status !== 200) failed.add(1);
}
