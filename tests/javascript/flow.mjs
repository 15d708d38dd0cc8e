// The developer guide's flow with the AWS SDK for JavaScript v3, against `rcl serve`.
//
// node flow.mjs flow '{"url": …, "name": …, "labels": […], "boxes": …, "training": …, "testing": …, "image": …, "key": …}'
// node flow.mjs signed '{"url": …, "good": {…}, "wrong": {…}, "unknown": {…}}'
//
// Prints a line of JSON a step; what differs ends it with status 1 and is told on stderr.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AccessDeniedException,
  ImageTooLargeException,
  InvalidImageFormatException,
  InvalidPaginationTokenException,
  InvalidParameterException,
  InvalidPolicyRevisionIdException,
  InvalidS3ObjectException,
  LimitExceededException,
  MalformedPolicyDocumentException,
  Rekognition,
  RekognitionServiceException,
  ResourceAlreadyExistsException,
  ResourceInUseException,
  ResourceNotFoundException,
  ResourceNotReadyException,
  ServiceQuotaExceededException,
  paginateDescribeProjectVersions,
  paginateDescribeProjects,
  paginateListDatasetEntries,
  paginateListDatasetLabels,
  paginateListProjectPolicies,
  waitUntilProjectVersionRunning,
  waitUntilProjectVersionTrainingCompleted,
} from "@aws-sdk/client-rekognition";

const [what, text] = process.argv.slice(2);
const given = JSON.parse(text);

const SMALLEST = { "rcl:epochs": "1", "rcl:image_size": "64", "rcl:weights": "none" };
const OUTPUT = { S3Bucket: "out", S3KeyPrefix: "models/a" };
const GONE = "arn:aws:rekognition:us-east-1:123456789012:project/none/1690000000000";
const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: { AWS: "arn:aws:iam::111111111111:root" },
      Action: "rekognition:CopyProjectVersion",
      Resource: "*",
    },
  ],
});

function connect(credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" }) {
  return new Rekognition({ endpoint: given.url, region: "us-east-1", credentials });
}

async function run(steps) {
  for (const step of steps) {
    try {
      console.log(JSON.stringify({ step: step.name, ...(await step()) }));
    } catch (error) {
      console.error(`${step.name}: ${error.stack}`);
      return 1;
    }
  }
  return 0;
}

async function until(condition) {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, "the condition did not come true in time");
    await sleep(50);
  }
}

// The members of all pages; no page has more than was asked for.
async function all(pages, member, pageSize) {
  const found = [];
  for await (const page of pages) {
    assert.ok(page[member].length <= pageSize);
    found.push(...page[member]);
  }
  return found;
}

// --- the flow ----------------------------------------------------------------------------------------------------------

const client = connect();
const made = {};

async function settled(DatasetArn) {
  let described;
  await until(async () => {
    described = (await client.describeDataset({ DatasetArn })).DatasetDescription;
    return !described.Status.endsWith("_IN_PROGRESS");
  });
  assert.ok(described.CreationTimestamp instanceof Date && described.LastUpdatedTimestamp instanceof Date);
  return described;
}

async function entries(DatasetArn, conditions = {}) {
  const pages = paginateListDatasetEntries({ client, pageSize: 5 }, { DatasetArn, ...conditions });
  return (await all(pages, "DatasetEntries", 5)).map((line) => JSON.parse(line));
}

async function dataset(DatasetType, Name) {
  const DatasetSource = Name && { GroundTruthManifest: { S3Object: { Bucket: "data", Name } } };
  const { DatasetArn } = await client.createDataset({ ProjectArn: made.project, DatasetType, DatasetSource });
  assert.equal((await settled(DatasetArn)).Status, "CREATE_COMPLETE");
  return DatasetArn;
}

async function createProject() {
  made.project = (await client.createProject({ ProjectName: given.name, Tags: { stage: "test" } })).ProjectArn;
  const other = (await client.createProject({ ProjectName: `${given.name}-other` })).ProjectArn;
  made.other = other;
  const projects = await all(paginateDescribeProjects({ client, pageSize: 1 }, {}), "ProjectDescriptions", 1);
  assert.deepEqual(projects.map((one) => one.ProjectArn).slice(0, 2), [other, made.project]);
  assert.ok(Math.abs(Date.now() - projects[0].CreationTimestamp) < 60_000);
  assert.deepEqual(projects[0].Datasets, []);
  return { project: made.project };
}

async function createDatasets() {
  made.train = await dataset("TRAIN", given.training);
  made.test = await dataset("TEST", given.testing);
  if (!given.testing) {
    await client.distributeDatasetEntries({ Datasets: [{ Arn: made.train }, { Arn: made.test }] });
  }
  const sizes = [];
  for (const arn of [made.train, made.test]) {
    const described = await settled(arn);
    assert.match(described.Status, /_COMPLETE$/);
    assert.equal(described.StatusMessageCode, "SUCCESS");
    sizes.push(described.DatasetStats.TotalEntries);
  }
  const [project] = (await client.describeProjects({ ProjectNames: [given.name] })).ProjectDescriptions;
  assert.deepEqual(project.Datasets.map((one) => one.DatasetArn), [made.train, made.test]);
  return { sizes };
}

async function listDatasets() {
  const every = await entries(made.train);
  const pages = paginateListDatasetLabels({ client, pageSize: 1 }, { DatasetArn: made.train });
  const labels = await all(pages, "DatasetLabelDescriptions", 1);
  assert.deepEqual(labels.map((one) => one.LabelName), given.labels);
  for (const { LabelName, LabelStats } of labels) {
    const using = await entries(made.train, { ContainsLabels: [LabelName] });
    assert.deepEqual(LabelStats, { EntryCount: using.length, BoundingBoxCount: given.boxes ? using.length : 0 });
  }
  assert.deepEqual(await entries(made.train, { ContainsLabels: given.labels, Labeled: true }), every);
  assert.deepEqual(await entries(made.train, { HasErrors: true }), []);
  assert.deepEqual(await entries(made.train, { SourceRefContains: every[2]["source-ref"] }), [every[2]]);
}

async function updateDataset() {
  const before = await entries(made.train);
  const { "source-ref": ref, "cl-metadata": _, ...labels } = before[0];
  const change = async (line) => {
    const GroundTruth = new TextEncoder().encode(JSON.stringify(line));
    await client.updateDatasetEntries({ DatasetArn: made.train, Changes: { GroundTruth } });
    assert.equal((await settled(made.train)).Status, "UPDATE_COMPLETE");
  };
  await change({ "source-ref": ref });
  assert.deepEqual(await entries(made.train, { Labeled: false }), [
    { "source-ref": ref, "cl-metadata": { is_labeled: false } },
  ]);
  await change({ "source-ref": ref, ...labels });
  assert.deepEqual(await entries(made.train), before);
}

const waiting = { client, maxWaitTime: 180, minDelay: 1, maxDelay: 1 };

function version(ProjectArn) {
  return { ProjectArn, VersionName: "v1", OutputConfig: OUTPUT, Tags: SMALLEST };
}

async function failTraining() {
  const Assets = [{ GroundTruthManifest: { S3Object: { Bucket: "data", Name: "lost.manifest" } } }];
  const data = { TrainingData: { Assets }, TestingData: { AutoCreate: true } };
  const { ProjectVersionArn } = await client.createProjectVersion({ ...version(made.other), ...data });
  const failure = waitUntilProjectVersionTrainingCompleted(waiting, { ProjectArn: made.other, VersionNames: ["v1"] });
  await assert.rejects(failure, /"state":"FAILURE"/);
  await client.deleteProjectVersion({ ProjectVersionArn });
  await until(async () => (await versions(made.other)).length === 0);
}

async function versions(ProjectArn) {
  const pages = paginateDescribeProjectVersions({ client, pageSize: 1 }, { ProjectArn });
  return all(pages, "ProjectVersionDescriptions", 1);
}

async function train() {
  made.version = (await client.createProjectVersion(version(made.project))).ProjectVersionArn;
  const named = { ProjectArn: made.project, VersionNames: ["v1"] };
  const { state } = await waitUntilProjectVersionTrainingCompleted(waiting, named);
  assert.equal(state, "SUCCESS");
}

async function describeVersion() {
  const [described] = await versions(made.project);
  assert.equal(described.ProjectVersionArn, made.version);
  assert.equal(described.StatusMessage, "The model is ready to run.");
  assert.deepEqual(described.OutputConfig, OUTPUT);
  assert.ok(described.TrainingEndTimestamp > described.CreationTimestamp);
  assert.ok(described.BillableTrainingTimeInSeconds >= 1);
  const assets = [described.TrainingDataResult, described.TestingDataResult].flatMap((part) => [
    part.Output.Assets[0].GroundTruthManifest.S3Object,
    part.Validation.Assets[0].GroundTruthManifest.S3Object,
  ]);
  const files = [described.EvaluationResult.Summary.S3Object, described.ManifestSummary.S3Object, ...assets];
  return { f1: described.EvaluationResult.F1Score, files };
}

async function start() {
  const { Status } = await client.startProjectVersion({ ProjectVersionArn: made.version, MinInferenceUnits: 1 });
  assert.equal(Status, "STARTING");
  const named = { ProjectArn: made.project, VersionNames: ["v1"] };
  assert.equal((await waitUntilProjectVersionRunning(waiting, named)).state, "SUCCESS");
}

async function labelsOf(more = {}) {
  const Image = { Bytes: await readFile(given.image) };
  return (await client.detectCustomLabels({ ProjectVersionArn: made.version, Image, ...more })).CustomLabels;
}

async function detect() {
  const every = await labelsOf({ MinConfidence: 0 });
  assert.ok(every.length > 0);
  const Image = { S3Object: { Bucket: "data", Name: given.key } };
  assert.deepEqual(await labelsOf({ MinConfidence: 0, Image }), every);
  assert.deepEqual(await labelsOf({ MinConfidence: 0, MaxResults: 1 }), every.slice(0, 1));
  const bar = every[Math.floor(every.length / 2)].Confidence;
  assert.deepEqual(await labelsOf({ MinConfidence: bar }), every.filter((one) => one.Confidence >= bar));
  for (const one of every) {
    assert.ok(given.labels.includes(one.Name) && one.Confidence >= 0 && one.Confidence <= 100);
    const box = one.Geometry && Object.keys(one.Geometry.BoundingBox).sort();
    assert.deepEqual(box, given.boxes ? ["Height", "Left", "Top", "Width"] : undefined);
  }
  return { found: every.length };
}

async function copyVersion() {
  const copied = await client.copyProjectVersion({
    SourceProjectArn: made.project,
    SourceProjectVersionArn: made.version,
    DestinationProjectArn: made.other,
    VersionName: "copy",
    OutputConfig: { S3Bucket: "copies" },
  });
  made.copy = copied.ProjectVersionArn;
  await until(async () => (await versions(made.other))[0].Status !== "COPYING_IN_PROGRESS");
  const [described] = await versions(made.other);
  assert.equal(described.Status, "COPYING_COMPLETED");
  assert.equal(described.SourceProjectVersionArn, made.version);
  return { files: [described.EvaluationResult.Summary.S3Object] };
}

async function policies() {
  const put = { ProjectArn: made.project, PolicyDocument: POLICY };
  const revisions = {};
  for (let number = 0; number < 7; number++) {
    const PolicyName = `p${number}`;
    revisions[PolicyName] = (await client.putProjectPolicy({ ...put, PolicyName })).PolicyRevisionId;
  }
  const pages = paginateListProjectPolicies({ client, pageSize: 2 }, { ProjectArn: made.project });
  const listed = await all(pages, "ProjectPolicies", 2);
  assert.deepEqual(Object.fromEntries(listed.map((one) => [one.PolicyName, one.PolicyRevisionId])), revisions);
  assert.deepEqual(JSON.parse(listed[0].PolicyDocument), JSON.parse(POLICY));
  for (const { PolicyName, PolicyRevisionId } of listed) {
    await client.deleteProjectPolicy({ ProjectArn: made.project, PolicyName, PolicyRevisionId });
  }
  assert.deepEqual((await client.listProjectPolicies({ ProjectArn: made.project })).ProjectPolicies, []);
}

async function tags() {
  const start = [[made.project, { stage: "test" }], [made.train, {}], [made.version, SMALLEST]];
  for (const [ResourceArn, before] of start) {
    const now = async () => (await client.listTagsForResource({ ResourceArn })).Tags;
    assert.deepEqual(await now(), before);
    await client.tagResource({ ResourceArn, Tags: { Größe: "a b", empty: "" } });
    assert.deepEqual(await now(), { ...before, Größe: "a b", empty: "" });
    await client.untagResource({ ResourceArn, TagKeys: ["Größe", "empty", "never"] });
    assert.deepEqual(await now(), before);
  }
}

function fromAWebPage() {
  const page = connect();
  const mark = (next) => (args) => {
    args.request.headers.origin = "http://example.com";
    return next(args);
  };
  page.middlewareStack.add(mark, { step: "build", name: "mark" });
  return page.describeProjects({}).finally(() => page.destroy());
}

async function tooManyTags() {
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, number) => [`k${number}`, "v"]));
  await client.tagResource({ ResourceArn: made.other, Tags: many });
  await client.tagResource({ ResourceArn: made.other, Tags: { one: "more" } });
}

async function exceptions() {
  const policy = { ProjectArn: made.project, PolicyName: "p", PolicyDocument: POLICY };
  const provoked = [
    [AccessDeniedException, fromAWebPage],
    [ImageTooLargeException, () => labelsOf({ Image: { Bytes: new Uint8Array(4 * 2 ** 20 + 1) } })],
    [InvalidImageFormatException, () => labelsOf({ Image: { Bytes: new TextEncoder().encode("no picture") } })],
    [InvalidPaginationTokenException, () => client.describeProjects({ NextToken: "junk" })],
    [InvalidParameterException, () => labelsOf({ Image: {} })],
    [InvalidPolicyRevisionIdException, () => client.putProjectPolicy({ ...policy, PolicyRevisionId: "0a" })],
    [InvalidS3ObjectException, () => labelsOf({ Image: { S3Object: { Bucket: "data", Name: "none.jpg" } } })],
    [
      LimitExceededException,
      () => client.startProjectVersion({ ProjectVersionArn: made.version, MinInferenceUnits: 1000 }),
    ],
    [MalformedPolicyDocumentException, () => client.putProjectPolicy({ ...policy, PolicyDocument: "{" })],
    [
      ResourceAlreadyExistsException,
      () => client.createDataset({ ProjectArn: made.project, DatasetType: "TRAIN" }),
    ],
    [ResourceInUseException, () => client.createProject({ ProjectName: given.name })],
    [ResourceNotFoundException, () => client.deleteProject({ ProjectArn: GONE })],
    [ResourceNotReadyException, () => labelsOf({ ProjectVersionArn: made.copy })],
    [ServiceQuotaExceededException, tooManyTags],
  ];
  for (const [Class, provoke] of provoked) {
    await assert.rejects(provoke, (error) => {
      assert.ok(error instanceof Class, `${Class.name}: ${error.stack}`);
      assert.ok(error instanceof RekognitionServiceException);
      assert.equal(error.name, Class.name);
      assert.equal(error.$fault, "client");
      assert.equal(error.$metadata.httpStatusCode, 400);
      // This SDK takes any exceeded limit for a throttle, of AWS too, and asks again.
      assert.equal(error.$metadata.attempts, Class === LimitExceededException ? 3 : 1, Class.name);
      assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
      assert.ok(error.message);
      return true;
    });
  }
  return { caught: provoked.map(([Class]) => Class.name) };
}

async function stop() {
  const { Status } = await client.stopProjectVersion({ ProjectVersionArn: made.version });
  assert.equal(Status, "STOPPING");
  await until(async () => (await versions(made.project))[0].Status !== "STOPPING");
  assert.equal((await versions(made.project))[0].Status, "STOPPED");
}

async function deleteEverything() {
  for (const ProjectArn of [made.project, made.other]) {
    await assert.rejects(client.deleteProject({ ProjectArn }), ResourceInUseException);
  }
  for (const ProjectVersionArn of [made.version, made.copy]) {
    assert.equal((await client.deleteProjectVersion({ ProjectVersionArn })).Status, "DELETING");
  }
  for (const DatasetArn of [made.train, made.test]) {
    await client.deleteDataset({ DatasetArn });
    await until(() => isGone(DatasetArn));
  }
  for (const ProjectArn of [made.project, made.other]) {
    await until(async () => (await versions(ProjectArn)).length === 0);
    assert.equal((await client.deleteProject({ ProjectArn })).Status, "DELETING");
  }
  const ProjectNames = [given.name, `${given.name}-other`];
  await until(async () => (await client.describeProjects({ ProjectNames })).ProjectDescriptions.length === 0);
}

async function isGone(DatasetArn) {
  try {
    await client.describeDataset({ DatasetArn });
    return false;
  } catch (error) {
    assert.ok(error instanceof ResourceNotFoundException, error.stack);
    return true;
  }
}

// --- signatures --------------------------------------------------------------------------------------------------------

async function goodKeys() {
  const signed = connect(given.good);
  const Tags = { Größe: "ä ö  ü" };
  const ResourceArn = (await signed.createProject({ ProjectName: "signed", Tags })).ProjectArn;
  assert.deepEqual((await signed.listTagsForResource({ ResourceArn })).Tags, Tags);
  signed.destroy();
}

async function refused(credentials) {
  const signed = connect(credentials);
  let caught;
  await assert.rejects(signed.describeProjects({}), (error) => {
    assert.ok(error instanceof RekognitionServiceException, error.stack);
    caught = error;
    return true;
  });
  signed.destroy();
  return { code: caught.name, status: caught.$metadata.httpStatusCode, attempts: caught.$metadata.attempts };
}

function wrongSecret() {
  return refused(given.wrong);
}

function unknownKey() {
  return refused(given.unknown);
}

const flow = [
  createProject,
  createDatasets,
  listDatasets,
  updateDataset,
  ...(given.boxes ? [] : [failTraining]),
  train,
  describeVersion,
  start,
  detect,
  copyVersion,
  policies,
  tags,
  exceptions,
  stop,
  deleteEverything,
];
process.exitCode = await run({ flow, signed: [goodKeys, wrongSecret, unknownKey] }[what]);
client.destroy();
