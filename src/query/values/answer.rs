//! The rows of a general ranking, worked out one at a time.

use super::cell::{Cell, Names};
use super::formula::{Formula, Number, RowView, Status, TRUNCATED, Worth};
use super::sets::Member;

/// The rows in order. What a row shows is worked out when it is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    pub(super) columns: Vec<Formula>,
    pub(super) key_count: usize,
    pub(super) keys: Vec<Cell>,
    pub(super) sums: Vec<u128>,
    pub(super) is_set: Vec<bool>,
    pub(super) names: Names,
    pub(super) members: Vec<Member>,
    pub(super) order: Vec<u32>,
    pub(super) total: u64,
    pub(super) dropped: u64,
}

/// What stands in a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// A number.
    Number(Number),
    /// A key's value.
    Cell(Cell),
    /// Different values of a key.
    Set {
        /// Some or all of them.
        members: Vec<Cell>,
        /// There are more.
        truncated: bool,
    },
    /// Nothing; why.
    Nothing(Status),
}

impl Values {
    /// Forgets everything but the rows that are shown.
    #[must_use]
    pub fn compact(self) -> Self {
        let aggregates = self.is_set.len();
        let mut kept = Self { keys: Vec::new(), sums: Vec::new(), members: Vec::new(), order: Vec::new(), ..self };
        for (new, &old) in (0..).zip(&self.order) {
            let at = old as usize;
            kept.keys
                .extend_from_slice(self.keys.get(at * kept.key_count..(at + 1) * kept.key_count).unwrap_or_default());
            kept.sums.extend_from_slice(self.sums.get(at * aggregates..(at + 1) * aggregates).unwrap_or_default());
            let from = self.members.partition_point(|member| member.row < old);
            let of_row = self.members.iter().skip(from).take_while(|member| member.row == old);
            kept.members.extend(of_row.map(|member| Member { row: new, ..*member }));
            kept.order.push(new);
        }
        kept
    }

    /// Octets that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<Cell>()
            + self.sums.capacity() * size_of::<u128>()
            + self.members.capacity() * size_of::<Member>()
            + self.order.capacity() * size_of::<u32>()
            + self.names.bytes()
    }

    /// How many rows are shown.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no row is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many rows there were before the limit; more, where some had no room.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Rows that had no room.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// For the text of cells.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// A row: its keys and its columns.
    #[must_use]
    pub fn row(&self, number: usize) -> Option<(&[Cell], Vec<Answered>)> {
        let row = *self.order.get(number)?;
        let (at, aggregates) = (row as usize, self.is_set.len());
        let keys = self.keys.get(at * self.key_count..(at + 1) * self.key_count).unwrap_or_default();
        let sums = self.sums.get(at * aggregates..(at + 1) * aggregates).unwrap_or_default();
        let view = RowView { keys, sums, is_set: &self.is_set };
        let columns = self.columns.iter().map(|column| match column.of(&view) {
            Ok(Worth::Number(number)) => Answered::Number(number),
            Ok(Worth::Cell(cell)) => Answered::Cell(cell),
            Ok(Worth::Set(aggregate, _)) => Answered::Set {
                members: self.members(row, aggregate as u32),
                truncated: sums.get(aggregate).is_some_and(|sum| sum & TRUNCATED != 0),
            },
            Err(status) => Answered::Nothing(status),
        });
        Some((keys, columns.collect()))
    }

    fn members(&self, row: u32, aggregate: u32) -> Vec<Cell> {
        let of = (row, aggregate);
        let from = self.members.partition_point(|member| (member.row, member.aggregate) < of);
        let found = self.members.iter().skip(from).take_while(|member| (member.row, member.aggregate) == of);
        let mut cells: Vec<Cell> = found.map(|member| member.cell).collect();
        cells.sort_unstable_by(|a, b| a.order(*b, &self.names));
        cells
    }
}
