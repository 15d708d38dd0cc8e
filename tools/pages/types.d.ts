// What the pages' modules and the server tell each other, for checking alone: nothing of this is served or packaged.
// Numbers that JSON has not, such as the loss of a training that diverged, come as null (`finite` of render/page.py).

// --- what is said of images ------------------------------------------------------------------------------------------

/** Left, top, width and height, as shares of the upright image. */
type Box = [left: number, top: number, width: number, height: number];
type Pair = [number, number];
type Part = "TRAIN" | "TEST";
/** `place`: of its annotation among all of the line, null for a new one. */
interface Drawn { label: string; box: Box; place: number | null }
interface Labelling { labels: string[]; boxes: Drawn[] }
/** Where an entry is: its dataset's ARN, and its position there. */
interface Place { dataset: string; position: number }
type Named = [dataset: string, position: number];
interface Entry extends Place, Labelling {
  part: Part; source_ref: string; is_labeled: boolean; has_errors: boolean; line: string; mark: string;
}
interface Saved extends Labelling { line: string; mark: string; by_others: boolean }
/** A label with the colour and the key that people chose for it, empty where they did not. */
interface Signed { name: string; colour: string; key: string }
interface LabelCount extends Signed { images: number; boxes: number }
/** A project as `projectNamed` of server.js finds it. */
interface Project { name: string; arn: string; labels: LabelCount[] }

/** Which entries a listing has, in which order. */
interface Filter {
  part?: string; labels?: string[]; labeled?: boolean; errors?: boolean; name?: string; queue?: string;
  sort?: string; version?: string;
}
interface Wanted { project: string; filter?: Filter; revision?: string }
/** Entries that are named by positions in datasets, or all of a listing but some. */
type Positions = Record<string, number[]>;
type Chosen = { project: string; revision: string } & ({ entries: Positions } | { filter: Filter; except: Positions });

// --- models ----------------------------------------------------------------------------------------------------------

/** Where a training stands: `domain.Progress`, without what is not known. */
interface Progress {
  stage: string; step: number; steps: number; loss?: number | null; metric?: string; value?: number | null;
  eta_s?: number; note?: string;
}
/** F1 on new images, and its 95 % interval: `evaluation.expected.Expected`. */
interface Expected { f1: number; low: number; high: number }
interface VersionRow {
  name: string; arn: string; status: string; message: string; f1: number | null; expected: Expected | null; model: string;
  training_images: number | null; created_ms: number; size_bytes: number;
}
interface ProjectRow {
  name: string; arn: string; training: number | null; testing: number | null; running: number;
  newest: VersionRow | null;
}
interface Epoch { epoch: number; loss: number | null; metric: string | null; value: number | null }
interface Training {
  arn: string; status: string; message: string; progress: Progress | null; curve: Epoch[]; log: string;
}
/** Numbers by label; those of pages have no prototype. */
type Thresholds = Record<string, number>;
/** Where asking a model about many images stands. */
interface Asked { total: number; done: number; failed: number; is_over: boolean; trouble: string }

/** What is there: the box is null for image-level labels. */
type Truth = [label: string, box: Box] | [label: string, box: null];
/** `match`: the index of the truth that it matches. */
type Found = [label: string, score: number, box: Box | null, match: number | null];
interface JudgedImage { source_ref: string; entry: Place | null; truth: Truth[]; found: Found[] }
interface Summary { EvaluationDetails: { NumberOfTrainingImages: number; NumberOfTestingImages: number } }
type DetectorSummary = Summary & { AggregatedEvaluationResults: { AveragePrecision: number } };
type Judging = {
  arn: string; name: string; labels: string[]; assumed: Thresholds; own: Thresholds; images: JudgedImage[];
  least_score: number; left_out: number; history: HistoryRow[]; settings: Record<string, unknown>;
  data: Record<string, unknown>; expected: Expected | null;
} & ({ is_detector: true; summary: DetectorSummary } | { is_detector: false; summary: Summary });
/** What a training said after an epoch, or of another step: numbers and texts by name. */
type HistoryRow = Record<string, unknown>;

type Figure = "f1" | "precision" | "recall" | "average_precision";
type Said = { label: string; score: number; right: boolean } & ({ box: Box } | { box: null });
interface ComparedImage { name: string; truth: Truth[]; size: Pair; entry: Place | null; found: Said[][]; errors: Pair }
interface ComparedImages { count: number; images: ComparedImage[] }
interface Comparison {
  versions: [string, string]; images: number; only: Pair; relabelled: number; f1_interval: Pair; said: string;
  overall: Record<Figure, Pair>; labels: Record<string, Record<Figure, Pair> & { positives: number }>;
  better: ComparedImages; worse: ComparedImages; differing: Record<string, [unknown, unknown]>;
}

// --- pictures from work ----------------------------------------------------------------------------------------------

type Verdict = "RIGHT" | "WRONG" | "CORRECTED";
type QueueState = "WAITING" | Verdict;
interface Queued {
  source_ref: string; origin: string; version: string; version_arn: string; unsureness: number; state: QueueState;
  labels: string[]; boxes: { label: string; box: Box }[]; scores: [label: string, score: number][];
}
interface Queue { counts: Record<QueueState, number>; share_right: number | null; items: Queued[] }
interface Added {
  version: string; added: number; replaced: number; in_queue: number; in_datasets: number; left_out: number;
  first_left_out: string[];
}
type Adding = { done: number; is_over: boolean; trouble?: undefined } | { trouble: string; is_over: true }
  | Added & { is_over: true; trouble?: undefined };

// --- labelled images that are brought --------------------------------------------------------------------------------

/** A file of what is brought, and its path there. */
interface Brought { file: File; path: string }
/** How much there is; of the commonest labels, how many images and boxes. */
interface Contents {
  images: number; unlabelled: number; boxes: number; labels: [name: string, images: number, boxes: number][];
  all_labels: number;
}
/** What was brought; `parts` are `train` and `test`. */
interface Look { format: string; trouble: string; pictures: number; notes: string[]; parts: Record<string, Contents> }
/** Where an import stands. */
interface Work { what: string; done: number; is_over: boolean; trouble: string; notes: string[] }

// --- what is wrong with images ---------------------------------------------------------------------------------------

type Severity = "error" | "warning";
/** `way`: what can be done about a finding without looking, empty where that is nothing. */
interface FoundKind {
  kind: string; severity: Severity; fix: string; count: number; open: number; way: string; mendable: number;
}
/** `images`: how many it is about; `entries`: of the first of them, as they are now. */
interface Finding {
  number: number; detail: string; part: string; labels: string[]; way: string; is_mended: boolean; images: number;
  entries: (Place & { source_ref: string; part: Part })[];
}
/** The last check of a project, if there was one. */
type Checked = { check: null; kinds?: undefined }
  | { check: string; done: number; is_over: boolean; trouble: string; kinds: FoundKind[] };
interface OfCheck { project: string; check: string }
interface Mended { removed: number; changed: number; left: number }

// --- routes ----------------------------------------------------------------------------------------------------------

/** What `local` of server.js is given and answers, by route: routes.py of console/ and those beside it. */
interface Routes {
  projects: [{}, { projects: ProjectRow[] }];
  gallery: [
    Wanted & { offset?: number; limit: number }, { total: number; revision: string; entries: (Entry | null)[] },
  ];
  labels: [{ project: string }, { labels: LabelCount[] }];
  queue: [{ entries: Named[] }, { queue: string }];
  ask: [{ project: string; version: string; filter: Filter; stop: boolean }, {}];
  asking: [{ version: string }, { known: number; thresholds: Thresholds; progress: Asked | null }];
  said: [Place & { version: string }, { found: [label: string, score: number, box: Box | null][] }];
  choose: [Chosen, { queue: string }];
  where: [Wanted & Place, { index: number | null }];
  next: [Wanted & { after: number }, { index: number | null }];
  save: [SaveRequest, Saved | { conflict: Saved | null }];
  assign: [Chosen & { add?: string[]; remove?: string[] }, { changed: number }];
  move: [Chosen & { part: Part }, { moved: number; there_already: number }];
  remove: [Chosen, { removed: number }];
  split: [{ project: string }, { testing: number }];
  rename: [{ project: string; label: string; to: string | null }, { changed: number }];
  sign: [{ project: string; label: string; colour?: string; key?: string }, {}];
  add: [{ project: string; part: Part; source_refs: string[] }, { new: number }];
  bring: [{}, { folder: string; formats: { name: string; summary: string }[]; plain: string }];
  "bring-look": [{ folder: string; format: string }, Look];
  "bring-import": [{ folder: string; project: string; format: string }, {}];
  "bring-progress": [{ folder: string }, Work];
  "bring-end": [{ folder: string }, {}];
  check: [{ project: string }, {}];
  checked: [{ project: string }, Checked];
  findings: [OfCheck & { kind: string; offset: number; limit: number }, { findings: Finding[] }];
  mend: [OfCheck & { kind: string; number: number | null }, Mended];
  "queue-findings": [OfCheck & { kind: string; number: number | null }, { entries: Named[] }];
  versions: [{ project: string }, { versions: (VersionRow & { progress: Progress | null })[] }];
  options: [{}, { options: Record<string, string> }];
  plan: [
    { project: string; options: Record<string, string> },
    { trouble: string; choices: { what: string; value: string; why: string; is_asked: boolean }[] },
  ];
  train: [{ project: string; options: Record<string, string> }, { version: string }];
  training: [{ version: string }, Training];
  "stop-training": [{ version: string }, {}];
  judging: [{ version: string }, Judging];
  thresholds: [{ version: string; values: Thresholds }, {}];
  export: [{ version?: string; form?: string }, { forms: string[] }];
  exported: [{ version: string; form: string }, { is_over: boolean; is_there: boolean; told: string }];
  comparison: [{ first: string; second: string }, Comparison];
  feedback: [{ project: string; state: QueueState; offset: number; limit: number }, Queue];
  "feedback-add": [{ project: string; sources: string[] }, {}];
  "feedback-adding": [{ project: string }, Adding];
  "feedback-verify": [
    { project: string; source_ref: string; verdict: Verdict; seen: string }, { state: QueueState; entry: Place | null },
  ];
}
type SaveRequest = { dataset: string; source_ref: string; mark: string }
  & ({ line: string } | Labelling & { base: string });
type Local = <R extends keyof Routes>(route: R, given: Routes[R][0], signal?: AbortSignal) => Promise<Routes[R][1]>;

type OfChecks = "check" | "checked" | "findings" | "mend" | "queue-findings";
/** `Local` about a check that is known. */
type AskChecks = <R extends OfChecks>(route: R, given?: Omit<Routes[R][0], keyof OfCheck>) => Promise<Routes[R][1]>;

interface ProjectDescription { ProjectArn: string; Datasets?: { DatasetArn: string }[] }
interface VersionDescription { ProjectVersionArn: string; Status: string; EvaluationResult?: {} }
interface CustomLabel {
  Name: string; Confidence: number;
  Geometry?: { BoundingBox: { Left: number; Top: number; Width: number; Height: number } };
}
/** What `invoke` of server.js is given and answers: operations of the API, as far as pages use them. */
interface Operations {
  DescribeProjects: [{ ProjectNames: string[] }, { ProjectDescriptions: ProjectDescription[] }];
  DescribeProjectVersions: [{ ProjectArn: string }, { ProjectVersionDescriptions: VersionDescription[] }];
  CreateProject: [{ ProjectName: string }, { ProjectArn: string }];
  DeleteProject: [{ ProjectArn: string }, {}];
  DeleteDataset: [{ DatasetArn: string }, {}];
  DeleteProjectVersion: [{ ProjectVersionArn: string }, {}];
  StartProjectVersion: [{ ProjectVersionArn: string; MinInferenceUnits: number }, {}];
  ListTagsForResource: [{ ResourceArn: string }, { Tags?: Record<string, string> }];
  TagResource: [{ ResourceArn: string; Tags: Record<string, string> }, {}];
  UntagResource: [{ ResourceArn: string; TagKeys: string[] }, {}];
  StopProjectVersion: [{ ProjectVersionArn: string }, {}];
  DetectCustomLabels: [
    { ProjectVersionArn: string; Image: { Bytes: string }; MinConfidence?: number }, { CustomLabels: CustomLabel[] },
  ];
}
type Invoke = <O extends keyof Operations>(operation: O, params: Operations[O][0]) => Promise<Operations[O][1]>;

/** What texts of texts.js are given: by name, where they are given something. */
type OfNumber = "images" | "training" | "testing" | "running" | "f1" | "left" | "percent" | "more" | "sureRemove"
  | "removed" | "wasSplit" | "known" | "askedAbout" | "chosen" | "chooseAll" | "changed" | "andMore" | "checkedSoFar";
type OfText = "renameTo" | "mergeInto" | "sure" | "trainingOf" | "sureStop" | "judgeTitle" | "thresholdOf" | "is"
  | "betterIn" | "worseIn" | "accept" | "askedIs" | "choose1" | "changedUnseen" | "notSaved" | "understood" | "imported"
  | "notImported" | "kindOf" | "imagesOf" | "tagsOf" | "colourOf" | "keyOf"
  | "keyGiven" | "exportOf" | "downloadExport" | "wouldFail";
type OfNumbers = "bringing" | "leftOut" | "errorsChange" | "moved" | "adding" | "added" | "position";
interface Words extends Record<OfNumber, (n: number) => string>, Record<OfText, (text: string) => string>,
  Record<OfNumbers, (n: number, other: number) => string> {
  projectAtWork(name: string, version: string, status: string): string;
  sureProject(name: string, versions: number, images: number): string;
  deleteLabel(name: string, images: number, boxes: number): string;
  became(answer: Answer): string;
  pairsNote(first: string, second: string): string;
  asked(progress: Asked): string;
  feedbackAdded(added: Added): string;
  refused(n: number, first: string): string;
  queued(n: number, why: string): string;
  checked(n: number, errors: number, warnings: number): string;
  mendAll(way: string, n: number): string;
  sureMend(way: string, n: number, detail: string): string;
  wasMended(mended: Mended): string;
  importing(what: string, done: number): string;
  importedBut(name: string, notes: string): string;
  [name: string]: unknown;
}

// --- between modules -------------------------------------------------------------------------------------------------

type Attribute = string | number | boolean | undefined | ((event: never) => unknown);
type Heard = GlobalEventHandlersEventMap;
/** `currentTarget` is the element; so is `target` where there is nothing inside that could be it. */
type On<E> = { currentTarget: E; target: E extends HTMLInputElement | HTMLSelectElement ? E : EventTarget | null };
type Attributes<E> = { [K in keyof Heard as `on${K}`]?: (event: Heard[K] & On<E>) => unknown }
  & { [name: string]: Attribute };
type Children = (Node | string)[];
type Make = <K extends keyof HTMLElementTagNameMap>(
  name: K, attributes?: Attributes<HTMLElementTagNameMap[K]>, ...children: Children
) => HTMLElementTagNameMap[K];
type Draw = <K extends keyof SVGElementTagNameMap>(
  name: K, attributes?: Attributes<SVGElementTagNameMap[K]>, ...children: Children
) => SVGElementTagNameMap[K];

/** A view of the console: `entered` once it is on the page, `leave` when another one comes. */
interface View { node: Node; entered?(): void; leave?(): void }
interface Labelled { label: string; box: Box }
/** A box of a picture of `shot`. */
interface Outline { box: Box; colour: string; dash?: string; title?: string }
interface Picture { url: string; name: string; size?: Pair }
type Colours = import("../../rcl_cli/console/pages/boxes.js").Colours;
interface Overlay extends SVGSVGElement {
  fit(width: number, height: number): void; boxes(boxes: Labelled[], colours: Colours): void;
}
/** Predictions of a label, highest first: whether each is right; and how many there should be. */
interface LabelEvents { scores: number[]; hits: (boolean | number)[]; positives: number; images: number }
interface Standing { precision: number; recall: number; f1: number; right: number; wrong: number; missed: number }
type ThresholdOf = (label: string) => number;

/** What became of an answer; the least sure are some of all. */
type Kind = "wrong" | "missed" | "right" | "unsure";
interface Answer { image: JudgedImage; label: string; score: number; box: Box | null; kind: Kind; right: boolean }

/** A box on an image that is edited; its id stays while it moves. */
interface OwnBox extends Labelled { id: number }
/** A line that is in the store, and the ids of its boxes in their order. */
interface Base { line: string; order: number[] }
/** See `stateFrom` of sheets.js. */
type State = { labels: string[]; boxes: OwnBox[] }
  & ({ saved: Base; before: State | null } | { saved: null; before: State });
type Unsaved = Extract<State, { saved: null }>;
interface Edit { labels?: string[]; boxes?: OwnBox[] }
type Sheet = import("../../rcl_cli/console/pages/sheets.js").Sheet;
/** An edit: its sheet, the state before and after. */
type Step = [sheet: Sheet, before: State, after: State];
/** What a model offers for an image. */
type Ghost = { id: number; label: string; score: number } & ({ box: Box } | { box: null });
/** What a stage tells: a box was drawn, moved, chosen (or none), what a model offers was clicked. */
interface StageAsked {
  drawn(box: Box): void; moved(id: number, box: Box): void; chosen(id: number | null): void;
  accepted(ghost: Ghost): void;
}
type BoxGhost = Ghost & { box: Box };

// What is split has a part at least.
interface Parts extends Array<string> { pop(): string }
interface String { split(separator: string): Parts }
