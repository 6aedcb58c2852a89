//! The report's picture: what a header costs on one thread, and on two.

use std::path::Path;

use plotters::prelude::*;

/// A case, and its nanoseconds per call on one thread and on two.
pub type Bar = (&'static str, [f64; 2]);

const SIZE: (u32, u32) = (900, 420);
const COLOURS: [RGBColor; 2] = [RGBColor(120, 170, 220), RGBColor(30, 80, 140)];
const THREADS: [&str; 2] = ["1 thread", "2 threads"];
/// Of the room that a case has, what each bar takes.
const THICKNESS: f64 = 0.38;

/// Draws the bars, the first of them uppermost, on a scale on which each step is ten times the one before.
///
/// # Errors
///
/// When the file cannot be written.
pub fn draw(path: &Path, caption: &str, bars: &[Bar]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let longest = bars.iter().flat_map(|(_, lengths)| lengths).copied().fold(100.0, f64::max);
    let count = bars.len() as f64;
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(170)
        .build_cartesian_2d((1.0..longest * 1.5).log_scale(), 0.0..count)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc("nanoseconds per call and thread, logarithmic")
        .y_labels(0)
        .x_label_formatter(&|length| format!("{length:.0}"))
        .draw()?;

    for (thread, colour) in COLOURS.into_iter().enumerate() {
        let rectangles = bars.iter().enumerate().map(|(row, (_, lengths))| {
            let top = count - row as f64 - 0.1 - THICKNESS * thread as f64;
            Rectangle::new([(1.0, top), (lengths[thread], top - THICKNESS)], colour.filled())
        });
        let series = chart.draw_series(rectangles)?;
        series
            .label(THREADS[thread])
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
    }
    let style = ("sans-serif", 13).into_font();
    for (row, (name, lengths)) in bars.iter().enumerate() {
        for (thread, length) in lengths.iter().enumerate() {
            let middle = count - row as f64 - 0.1 - THICKNESS * (thread as f64 + 0.5);
            let (x, y) = chart.backend_coord(&(*length, middle));
            root.draw(&Text::new(format!("{length:.0}"), (x + 4, y - 6), style.clone()))?;
        }
        let (x, y) = chart.backend_coord(&(1.0, count - row as f64 - 0.5));
        root.draw(&Text::new((*name).to_owned(), (x - 165, y - 6), style.clone()))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}
