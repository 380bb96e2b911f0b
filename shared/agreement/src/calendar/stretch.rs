//! Half-open stretches `[from, to)` with a tag, and their union.

/// `[from, to)`, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch<P, T> {
    pub from: P,
    pub to: P,
    pub tag: T,
}

/// The same points in ascending stretches that do not overlap. A point that several held belongs to the one that
/// began first, of those to the one given first. Empty stretches vanish.
pub(super) fn disjoint<P: Copy + Ord, T>(mut stretches: Vec<Stretch<P, T>>) -> Vec<Stretch<P, T>> {
    stretches.sort_by_key(|stretch| stretch.from);
    let mut free_from: Option<P> = None;
    stretches.retain_mut(|stretch| {
        stretch.from = free_from.map_or(stretch.from, |free| stretch.from.max(free));
        let holds = stretch.from < stretch.to;
        if holds {
            free_from = Some(stretch.to);
        }
        holds
    });
    stretches
}

/// The stretch of an ascending list that holds the point.
pub(super) fn holding<P: Copy + Ord, T>(stretches: &[Stretch<P, T>], point: P) -> Option<&Stretch<P, T>> {
    let after = stretches.partition_point(|stretch| stretch.to <= point);
    stretches.get(after).filter(|stretch| stretch.from <= point)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(list: &[(i64, i64, char)]) -> Vec<(i64, i64, char)> {
        let stretches = list.iter().map(|&(from, to, tag)| Stretch { from, to, tag }).collect();
        disjoint(stretches).into_iter().map(|s| (s.from, s.to, s.tag)).collect()
    }

    #[test]
    fn what_began_first_keeps_the_overlap() {
        assert_eq!(cut(&[(5, 9, 'b'), (1, 7, 'a')]), [(1, 7, 'a'), (7, 9, 'b')]);
        assert_eq!(cut(&[(1, 9, 'a'), (2, 3, 'b'), (4, 12, 'c')]), [(1, 9, 'a'), (9, 12, 'c')]);
        assert_eq!(cut(&[(1, 4, 'a'), (1, 6, 'b')]), [(1, 4, 'a'), (4, 6, 'b')]);
    }

    #[test]
    fn empty_and_backward_stretches_vanish() {
        assert_eq!(cut(&[(3, 3, 'a'), (8, 2, 'b'), (4, 5, 'c')]), [(4, 5, 'c')]);
    }

    #[test]
    fn a_point_is_held_from_the_beginning_to_before_the_end() {
        let list = [Stretch { from: 2, to: 4, tag: 'a' }, Stretch { from: 4, to: 6, tag: 'b' }];
        let held: Vec<_> = (1..7).map(|point| holding(&list, point).map(|s| s.tag)).collect();
        assert_eq!(held, [None, Some('a'), Some('a'), Some('b'), Some('b'), None]);
    }
}
