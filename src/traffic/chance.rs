//! What nobody can tell, tried one way after the other: where the scheduler puts pods, and which hosts
//! are ejected.

use std::cell::{Cell, RefCell};

/// Picks among what is possible, another way on each round.
#[derive(Debug, Default)]
pub struct Chance {
    /// What was picked on this round, and among how many.
    picks: RefCell<Vec<(u32, u32)>>,
    /// How many picks this round has made.
    at: Cell<usize>,
}

impl Chance {
    /// A number within bounds, both included; the least where there is none.
    pub fn pick(&self, least: u32, most: u32) -> u32 {
        let at = self.at.replace(self.at.get() + 1);
        let mut picks = self.picks.borrow_mut();
        if at >= picks.len() {
            picks.push((0, most.saturating_sub(least)));
        }
        least + picks[at].0
    }

    /// Goes on to the next round; whether there is one.
    pub fn again(&self) -> bool {
        self.at.set(0);
        let mut picks = self.picks.borrow_mut();
        while let Some((pick, most)) = picks.pop() {
            if pick < most {
                picks.push((pick + 1, most));
                return true;
            }
        }
        false
    }

    /// How many ways there may be, going by this round's picks.
    pub fn ways(&self) -> u64 {
        let picks = self.picks.borrow();
        picks.iter().fold(1, |all, (_, most)| all.saturating_mul(u64::from(*most) + 1))
    }

    /// So many out of these, one pick each.
    pub fn draw(&self, of: &[u32], number: u32) -> Vec<u32> {
        let mut rest: u32 = of.iter().fold(0, |sum, count| sum.saturating_add(*count));
        let mut left = number.min(rest);
        let out = of.iter().map(|&count| {
            rest -= count;
            let out = self.pick(left.saturating_sub(rest), count.min(left));
            left -= out;
            out
        });
        out.collect()
    }
}
