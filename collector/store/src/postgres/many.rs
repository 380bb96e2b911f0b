//! One statement for many sets of values: PostgreSQL takes each column as an array, plans and answers once, and costs a
//! fraction of a statement for each set. The text is made of the one that a single set is said with.

use tokio_postgres::types::{IsNull, Kind, ToSql, Type, private::BytesMut, to_sql_checked};

use super::{joined::renamed, query::Refused};
use crate::sql::Value;

/// What makes one statement for many sets of values of the one for a single set, and of the types of its parameters.
pub(super) type Make = fn(&str, &[Type]) -> Option<String>;

/// An `INSERT` of one row's values, for many rows. `None` where its values are not its parameters in their order.
pub(super) fn insert_many(spoken: &str, types: &[Type]) -> Option<String> {
    let numbers: Vec<String> = (1..=types.len()).map(|number| format!("${number}")).collect();
    let values = format!(" VALUES ({})", numbers.join(", "));
    let (into, rest) = spoken.split_once(&values)?;
    Some(format!("{into} SELECT * FROM {}{rest}", arrays(types, 1)))
}

/// A query, for many sets of its values: answers with a row for each, in their order, whether it finds anything.
pub(super) fn find_many(spoken: &str, types: &[Type]) -> Option<String> {
    let one = renamed(spoken, types.len(), |number| format!("given.v{number}"));
    let columns: String = (1..=types.len()).map(|number| format!("v{number}, ")).collect();
    let arrays = arrays(types, 1);
    Some(format!("SELECT EXISTS ({one})::int FROM {arrays} WITH ORDINALITY AS given({columns}place) ORDER BY place"))
}

/// Parameters from `first` on as a table with a column for each of these types.
pub(super) fn arrays(types: &[Type], first: usize) -> String {
    let arrays: Vec<String> =
        types.iter().enumerate().map(|(at, ty)| format!("${}::{}[]", at + first, ty.name())).collect();
    format!("unnest({})", arrays.join(", "))
}

/// One column of many sets of values.
#[derive(Debug)]
pub(super) struct Column<'s, 'v> {
    pub(super) sets: &'s [Vec<Value<'v>>],
    pub(super) at: usize,
}

impl ToSql for Column<'_, '_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Refused> {
        let values: Option<Vec<&Value<'_>>> = self.sets.iter().map(|set| set.get(self.at)).collect();
        values.ok_or("a set of values that is shorter than the others")?.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::query::spoken;

    const TYPES: [Type; 2] = [Type::TEXT, Type::INT8];

    #[test]
    fn rows_are_inserted_as_columns_and_still_step_back_from_what_is_there() {
        let one = spoken("/* t.insert */ INSERT INTO t (a, b) VALUES (?1, ?2)");
        let many = insert_many(&one, &TYPES).unwrap();
        assert_eq!(
            many,
            "/* t.insert */ INSERT INTO t (a, b) SELECT * FROM unnest($1::text[], $2::int8[]) ON CONFLICT DO NOTHING \
             /* unless it is there */"
        );
    }

    #[test]
    fn an_insert_that_computes_its_values_has_no_such_form() {
        for sql in [
            "INSERT INTO t (a, b) VALUES (?2, ?1)",
            "INSERT INTO t (a, b) VALUES (?1, ?2 + 1)",
            "INSERT INTO t (a, b) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM t)",
        ] {
            assert_eq!(insert_many(&spoken(sql), &TYPES), None, "{sql}");
        }
    }

    #[test]
    fn a_parameter_is_not_taken_for_the_beginning_of_another() {
        let types = vec![Type::INT8; 12];
        let many = find_many("SELECT 1 FROM t WHERE a = $1 AND b = $12", &types).unwrap();
        assert!(many.contains("a = given.v1 AND b = given.v12)"), "{many}");
    }
}
