// One output channel for each folder, holding what its commands print, as plain text.
import * as vscode from 'vscode';
import { usableFolders } from '../folders';
import { Pacer } from '../pace';
import type { ExecOutput } from '../protocol';
import { bytesOf } from '../protocol';
import { Cleaner, plainLine } from './clean';
import { channelName, channelOfDocument } from './names';
import { headerLine } from './places';
import { Shown } from './shown';

export const outputLanguage = 'glue-output';

// The server holds a command back while this much is not shown.
export const windowBytes = 512 * 1024;

export class Outputs implements vscode.Disposable {
  private readonly channels = new Map<string, Channel>();
  private last: Channel | undefined;

  of(folder: vscode.WorkspaceFolder): Channel {
    const key = folder.uri.toString();
    let channel = this.channels.get(key);
    if (channel === undefined) {
      channel = new Channel(folder, this.nameOf(folder));
      this.channels.set(key, channel);
    }
    this.last = channel;
    return channel;
  }

  // find gives the channel that a document of the output view belongs to.
  find(document: vscode.TextDocument): Channel | undefined {
    const name = channelOfDocument(document.uri.path);
    return [...this.channels.values()].find((c) => c.name === name);
  }

  private nameOf(folder: vscode.WorkspaceFolder): string {
    const named = (f: vscode.WorkspaceFolder) => ({ name: f.name, path: f.uri.fsPath });
    const taken = new Set([...this.channels.values()].map((c) => c.name));
    return channelName(named(folder), usableFolders().map(named), taken);
  }

  show(): boolean {
    this.last?.show(false);
    return this.last !== undefined;
  }

  dispose(): void {
    for (const channel of this.channels.values()) {
      channel.dispose();
    }
  }
}

export class Channel implements vscode.Disposable {
  private readonly channel: vscode.OutputChannel;
  private readonly bases = new Map<number, string[]>();

  constructor(
    readonly folder: vscode.WorkspaceFolder,
    readonly name: string,
  ) {
    this.channel = vscode.window.createOutputChannel(name, outputLanguage);
  }

  // begin writes the line above a command's output. Its relative names are meant from bases.
  begin(run: number, title: string, bases: string[]): void {
    this.bases.set(run, bases);
    this.channel.appendLine(headerLine(run, plainLine(title, 200)));
  }

  end(text: string): void {
    this.channel.appendLine(`■ ${plainLine(text, 400)}\n`);
  }

  append(text: string): void {
    this.channel.append(text);
  }

  basesOf(run: number): readonly string[] {
    return this.bases.get(run) ?? [];
  }

  show(keepFocus: boolean): void {
    this.channel.show(keepFocus);
  }

  dispose(): void {
    this.channel.dispose();
  }
}

// Stream shows one command's output: cleaned, paced, and bounded.
export class Stream {
  private readonly cleaners = { stdout: new Cleaner(), stderr: new Cleaner() };
  private readonly decoder = new TextDecoder();
  private readonly shown = new Shown();
  private readonly pacer: Pacer;
  private bytes = 0;

  constructor(
    private readonly channel: Channel,
    acknowledge: (bytes: number) => void,
  ) {
    this.pacer = new Pacer((text) => {
      channel.append(text);
    }, acknowledge);
  }

  // received counts the bytes that came, over both streams.
  get received(): number {
    return this.bytes;
  }

  push(p: ExecOutput): void {
    const bytes = bytesOf(p);
    this.bytes += bytes.length;
    // Pieces never end inside a character; what is not text shows as replacement characters.
    const text = p.encoding === 'utf-8' ? p.data : this.decoder.decode(bytes);
    this.pacer.push(this.shown.push(this.cleaners[p.stream].push(text)), bytes.length);
  }

  // finish shows what is left, and reports whether all of the output is in the channel.
  async finish(): Promise<boolean> {
    await this.pacer.drained();
    const rest = this.shown.end() + this.cleaners.stdout.end() + this.cleaners.stderr.end();
    if (rest !== '') {
      this.channel.append(rest);
    }
    return !this.shown.isCut;
  }
}
