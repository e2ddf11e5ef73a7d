// What the server has the window show: its messages, and the progress that it makes. The
// names of files, tests and commands in them are chosen by the folder and by the sandbox, and
// the library shows them as they come, the first of them before the server has answered.
import type { Message } from 'vscode-languageclient/node';
import { shown } from '../shown';

const methods: ReadonlySet<unknown> = new Set([
  'window/showMessage',
  'window/showMessageRequest',
  '$/progress',
]);

// cleaned gives a message of the server whose text is no more than text.
export function cleaned(message: Message): Message {
  const { method, params } = message as Message & { method?: unknown; params?: unknown };
  return methods.has(method) && isRecord(params) ? withParams(message, params) : message;
}

function withParams(message: Message, params: Record<string, unknown>): Message {
  const value = isRecord(params['value']) ? { value: texts(params['value']) } : {};
  return { ...message, params: { ...texts(params), ...value } } as Message;
}

function texts(of: Record<string, unknown>): Record<string, unknown> {
  const { title, message } = of;
  return {
    ...of,
    ...(typeof title === 'string' ? { title: shown(title) } : {}),
    ...(typeof message === 'string' ? { message: shown(message) } : {}),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
