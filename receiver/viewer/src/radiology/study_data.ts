/** One study as the panes draw on it: its series, their places, and their data sets. */

import type { ReadingContext } from "../context";
import { pictured } from "../papers/kinds";
import type { Series, Study } from "../types";
import { forget } from "./engine";
import { MarkBook } from "./marks";
import { isOther } from "./others";
import { SeriesData } from "./series_data";
import { expectedOf, slotsOf, type Slot } from "./slots";

export class StudyData {
  study: Study;
  series: readonly Series[] = [];
  slots: readonly Slot[][] = [];
  private data: readonly SeriesData[] = [];
  private readonly every: SeriesData[] = [];
  readonly book: MarkBook;

  constructor(
    readonly context: ReadingContext,
    readonly prior: boolean,
    marked: (of: StudyData) => void,
    /** Who has confirmed that it is of the same person, of a prior under another Patient ID. */
    readonly confirmed: string | null = null,
  ) {
    this.study = context.study;
    this.book = new MarkBook(() => marked(this));
    this.take(context.study);
  }

  /** The study as it is now; places may only be added or filled. */
  take(study: Study): void {
    this.study = study;
    const kept = new Map(this.series.map((series, i) => [series.series_uid, this.data[i]]));
    this.series = study.series
      .filter((series) => !isOther(series))
      .map(pictured) // a video is no stack of frames, whatever its number of them
      .filter((series) => series !== null);
    this.slots = this.series.map(slotsOf);
    this.data = this.series.map((series) => kept.get(series.series_uid) ?? this.made(series));
  }

  private made(series: Series): SeriesData {
    const data = new SeriesData(this.context, series);
    this.every.push(data);
    return data;
  }

  of(index: number): SeriesData {
    return this.data[index] as SeriesData;
  }

  at(index: number): readonly Slot[] {
    return this.slots[index] ?? [];
  }

  expected(index: number): number | null {
    const series = this.series[index];
    return series ? expectedOf(series, [...this.at(index)]) : null;
  }

  /** Forget what of the pixels' kind is held here. */
  forget(): void {
    for (const data of this.every) data.forget();
  }

  close(): void {
    this.forget();
    forget(this.every.flatMap((data) => [...data.registered]));
  }
}
