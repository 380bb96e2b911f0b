//! Several questions as one statement. Each statement costs the server and this side as much again as what it finds, so
//! what is asked at one time is asked as one: a `UNION ALL` of a part for each question, in whose columns those of all
//! have room, by their types.

use std::sync::Arc;

use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use super::{
    many::{Column, arrays},
    query::Refused,
    texts::{Described, Spoken},
};
use crate::sql::Value;

/// Columns before those of the questions: which question, and which set of its values, from 1.
const BEFORE: usize = 2;

/// A statement for several questions.
pub(super) struct Joined {
    pub(super) text: String,
    /// For each question where each of its columns stands in the answer.
    pub(super) columns: Vec<Arc<[usize]>>,
}

impl Joined {
    /// Of these questions, each for one set of values or for many.
    pub(super) fn of(questions: &[(&Spoken, &Described, bool)]) -> Self {
        let mut room: Vec<Type> = Vec::new();
        let columns: Vec<Arc<[usize]>> =
            questions.iter().map(|(_, described, _)| places(&mut room, &described.columns)).collect();
        let mut first = 1;
        let mut parts = Vec::with_capacity(questions.len());
        for (number, ((spoken, described, is_many), columns)) in questions.iter().zip(&columns).enumerate() {
            let params = &described.params;
            let names: Vec<String> = (0..columns.len()).map(|column| format!("c{column}")).collect();
            let filled = room.iter().enumerate().map(|(place, ty)| {
                let own = columns.iter().position(|column| *column == place + BEFORE);
                own.map_or_else(|| format!("NULL::{}", ty.name()), |column| format!("q.c{column}"))
            });
            let filled: Vec<String> = filled.collect();
            let (filled, names) = (filled.join(", "), names.join(", "));
            parts.push(if *is_many {
                let one = renamed(&spoken.text, params.len(), |number| format!("given.v{number}"));
                let values: String = (1..=params.len()).map(|number| format!("v{number}, ")).collect();
                // OFFSET 0 keeps each set's rows together and in their order, and lets no plan read a whole table for all.
                format!(
                    "SELECT {number}::int8, given.place, {filled} FROM {} WITH ORDINALITY AS given({values}place) \
                     CROSS JOIN LATERAL ({one} OFFSET 0) AS q({names})",
                    arrays(params, first)
                )
            } else {
                let one = renamed(&spoken.text, params.len(), |number| format!("${}", number - 1 + first));
                format!("SELECT {number}::int8, 1::int8, {filled} FROM ({one}) AS q({names})")
            });
            first += params.len();
        }
        Self { text: parts.join(" UNION ALL "), columns }
    }
}

/// Where these columns have room, in the first place of their type that is not taken by another of them.
fn places(room: &mut Vec<Type>, columns: &[Type]) -> Arc<[usize]> {
    let mut taken = Vec::with_capacity(columns.len());
    for ty in columns {
        let free = (0..room.len()).find(|place| room[*place] == *ty && !taken.contains(&(place + BEFORE)));
        let place = free.unwrap_or_else(|| {
            room.push(ty.clone());
            room.len() - 1
        });
        taken.push(place + BEFORE);
    }
    taken.into()
}

/// The text with its parameters, numbered from 1, called otherwise.
pub(super) fn renamed(text: &str, params: usize, name: impl Fn(usize) -> String) -> String {
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        renamed.push_str(before);
        match after[..digits].parse() {
            Ok(number) if (1..=params).contains(&number) => renamed.push_str(&name(number)),
            Ok(_) | Err(_) => {
                renamed.push('$');
                renamed.push_str(&after[..digits]);
            }
        }
        rest = &after[digits..];
    }
    renamed.push_str(rest);
    renamed
}

/// A parameter: a value, or the values of many sets.
#[derive(Debug)]
pub(super) enum Given<'s, 'v> {
    One(Value<'v>),
    Many(Column<'s, 'v>),
}

impl ToSql for Given<'_, '_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Refused> {
        match self {
            Self::One(value) => value.to_sql(ty, out),
            Self::Many(column) => column.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_not_taken_for_the_beginning_of_another() {
        let name = |number| format!("v{number}");
        assert_eq!(renamed("a = $1 AND b = $12 AND c = $2$", 12, name), "a = v1 AND b = v12 AND c = v2$");
        assert_eq!(renamed("a = $3", 2, name), "a = $3");
    }

    #[test]
    fn columns_of_a_type_share_their_room() {
        let mut room = Vec::new();
        assert_eq!(*places(&mut room, &[Type::TEXT, Type::INT8, Type::TEXT]), [2, 3, 4]);
        assert_eq!(*places(&mut room, &[Type::INT8, Type::BYTEA, Type::TEXT]), [3, 5, 2]);
        assert_eq!(room, [Type::TEXT, Type::INT8, Type::TEXT, Type::BYTEA]);
    }
}
