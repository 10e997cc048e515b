/**
 * The browser client of sessionbridge: one WebSocket that comes back by itself.
 *
 * Close codes decide what happens after an end (docs/clients.md): the client reconnects, waits for a
 * login, or stops. It reads no cookie and keeps nothing in storage.
 */

/** What the server has sent: a string, or binary data. */
export type Data = string | ArrayBuffer;

/** What can be sent. Anything but a string and binary data is sent as JSON. */
export type Sendable = string | ArrayBuffer | ArrayBufferView | object | number | boolean | null;

/** `connecting`: the first attempt, or another tab takes the connection over. `open`. `waiting`: for
 * the next attempt. `idle`: closed with 4002, until there is something to send. `out`: logged out, or
 * no session. `stopped`: for good, until `reconnect`. */
export type State = "connecting" | "open" | "waiting" | "idle" | "out" | "stopped";

export interface Options {
  /** Subprotocols of the application, by preference. */
  protocols?: string[];
  /** Ask for kept messages, so that none is missed between two connections. Default: true. Set false
   * for a server that accepts no subprotocol, or whose own messages may begin with U+001E. */
  kept?: boolean;
  /** Let the tabs of this browser share one connection. Each message then reaches all of them; an
   * answer only the tab that has asked. Needs Web Locks; without them each tab has its own. All tabs
   * must use the same options. Default: false. */
  share?: boolean;
  /** Fetched (GET), or called, before a connection if the cookies may be missing or old: at first,
   * after the session has changed (4001), after a handshake that failed, and by `reconnect`. If it is
   * answered with 401 there is no session: `missing`. The signal ends when the attempt does. */
  refresh?: string | ((signal: AbortSignal) => unknown);
  /** Fetched (POST), or called, before each connection: it returns the ticket that opens it. 401 as
   * above. */
  ticket?: string | ((signal: AbortSignal) => string | Promise<string>);
  /** How long a request waits for its answer, in ms; 0: without limit. Default: 30000. */
  timeout?: number;
  /** How many messages and requests wait while there is no connection; more are refused. Default: 100. */
  maxQueue?: number;
  /** The limit of the first pause before another attempt, in ms; it doubles with each. The pause is
   * random, from 0 to its limit. Default: 500. */
  minDelay?: number;
  /** The greatest limit of a pause, in ms. Default: 30000. */
  maxDelay?: number;
  /** How long one attempt may take, in ms, with its refresh and ticket. Default: 10000. */
  connectTimeout?: number;
  /** How long a connection must be open until the pauses begin anew, in ms. Default: 5000. */
  stableAfter?: number;
  /** A pause of the page's timers that long, in ms, means that the device has slept: the connection is
   * replaced. 100 s more for a hidden page, whose timers are slow. Default: 45000. */
  sleepAfter?: number;
}

/** Why a connection has ended. `code` is 1006 if there was no close frame. */
export interface CloseDetail {
  code: number;
  reason: string;
}

export interface Events {
  /** A connection is open. */
  open: Event;
  /** The server has sent a message. */
  message: Event & { data: Data };
  /** The connection is open again, and the session may be another one: a login, 4001. Load what
   * depends on it. Comes after `open`. */
  session: Event;
  /** The session has ended: 4500, 4501, 4503. Everything that waited is rejected and dropped. The
   * client connects again when another tab has a session, when the page is looked at, and by
   * `reconnect`. */
  logout: Event & CloseDetail;
  /** There is no session: 4502. Otherwise like `logout`. */
  missing: Event & CloseDetail;
  /** The connection is back after `offline`. Comes after `open`. */
  online: Event;
  /** The connection is lost, or can't be opened, and will be tried again. Once until `online`. */
  offline: Event & CloseDetail;
  /** The client has the kept messages that it missed, and misses none from here on: load the current
   * state, unless it was loaded at an earlier `ready` or `gap`. Comes after `open`, if the server
   * keeps messages. */
  ready: Event;
  /** Kept messages are lost: load the current state. */
  gap: Event;
  /** The server wants no further connection: 1000, 1008, 1009, or a code of the application from 4504. */
  stop: Event & CloseDetail;
}

export interface RequestOptions {
  /** See Options.timeout. */
  timeout?: number;
  /** Executing it twice does no harm: it is sent again if the connection was lost before its answer
   * came. Default: false, it is rejected with `lost`. */
  idempotent?: boolean;
}

export interface Client {
  readonly state: State;
  /** Calls the listener at each event. Returns a function that removes it. */
  on<T extends keyof Events>(type: T, listener: (event: Events[T]) => void): () => void;
  off<T extends keyof Events>(type: T, listener: (event: Events[T]) => void): void;
  /** Sends, or queues, a message. It returns false if the queue is full or the client is `out` or
   * `stopped`. A message is sent once at most: it is lost if the connection is at that moment. */
  send(data: Sendable): boolean;
  /** Sends, or queues, a request, as JSON, and resolves with the answer. Rejects with a RequestError. */
  request<T = unknown>(data: unknown, options?: RequestOptions): Promise<T>;
  /** Connects now: after a login without a new page, or after `stop`. */
  reconnect(): void;
  /** Ends the client for good, without an event. */
  close(): void;
}

export class RequestError extends Error {
  constructor(code: RequestError["code"], sent?: boolean, status?: number, message?: string);
  /** `refused`: the server has answered with an error, see status and message. `lost`: the connection
   * was lost before an answer. `timeout`. `full`: too many wait. `session`: logged out, or no session.
   * `stopped`. `invalid`: the answer isn't JSON. The message is a text for users only with `refused`;
   * with the others it is the code. */
  readonly code: "refused" | "lost" | "timeout" | "full" | "session" | "stopped" | "invalid";
  /** Whether it was sent, so that the server may have executed it. */
  readonly sent: boolean;
  /** The status of `refused`, as of HTTP; otherwise 0. */
  readonly status: number;
}

/** Connects to a URL of ws, wss, http or https, relative to the page. Throws a TypeError for an invalid
 * one. */
export function connect(url: string | URL, options?: Options): Client;
