//! What autoscalers want, in numbers.
//!
//! Each request set speaks for a caller of its own, so what they want of an array adds up.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::limits::Machines;
use crate::store::{Cluster, ClusterEdit, Demand, Node, TargetState};
use crate::template::{ArrayDefinition, ClusterDefinition};

/// What one request set wants of one array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The array. Nodes in groups have one of their own for each size of group, `ARRAY:SIZE`.
    pub array: String,
    /// The request set.
    pub request_set: String,
    /// Nodes, those that are there included.
    pub nodes: Option<u32>,
    /// Cores, likewise.
    pub cores: Option<u32>,
    /// Groups of nodes, likewise.
    pub groups: Option<u32>,
    /// When it ends.
    pub expires: Timestamp,
}

/// All that is wanted of a cluster now. Definitions that cannot be understood are left out.
pub fn targets(cluster: &Cluster, now: Timestamp) -> Vec<Target> {
    let live = cluster
        .autoscale
        .demands
        .iter()
        .filter(|demand| demand.expires > now);
    live.flat_map(|demand| {
        let wishes = demand
            .definitions
            .iter()
            .filter_map(|definition| wish(definition).ok());
        wishes.map(|wish| Target {
            array: known_name(&cluster.definition, wish.array),
            request_set: demand.request_set.clone(),
            nodes: wish.nodes,
            cores: wish.cores,
            groups: wish.groups.map(|groups| groups.count),
            expires: demand.expires,
        })
    })
    .collect()
}

/// A definition that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    /// The array that gets the nodes.
    pub(super) array: String,
    /// Nodes that it shall have.
    pub(super) nodes: Option<u32>,
    /// Cores that it shall have.
    pub(super) cores: Option<u32>,
    /// Groups that it shall have.
    pub(super) groups: Option<Groups>,
    /// Whether the array may be made when it is not there.
    pub(super) dynamic: bool,
    /// What a new array is made of.
    pub(super) extends: Vec<String>,
    /// What is merged into the array.
    pub(super) attributes: Map<String, Value>,
}

/// Nodes that work together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Groups {
    /// How many groups.
    pub(super) count: u32,
    /// The array whose nodes they are.
    pub(super) of: String,
    /// Nodes, or else cores, of each.
    pub(super) size: GroupSize,
}

/// How large a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupSize {
    Nodes(u32),
    Cores(u32),
}

/// Understands a definition.
///
/// # Errors
/// A sentence on what is wrong, without the name of the array.
pub(super) fn wish(definition: &Map<String, Value>) -> Result<Wish, String> {
    let mut wish = Wish {
        array: String::new(),
        nodes: None,
        cores: None,
        groups: None,
        dynamic: false,
        extends: Vec::new(),
        attributes: Map::new(),
    };
    let (mut groups, mut size) = (None, None);
    for (key, value) in definition {
        match key.to_ascii_lowercase().as_str() {
            "name" => wish.array = value.as_str().unwrap_or_default().to_owned(),
            "targetcount" => wish.nodes = count(key, value)?,
            "targetcorecount" => wish.cores = count(key, value)?,
            "targetgroupcount" => groups = count(key, value)?,
            "groupcorecount" => size = count(key, value)?.map(GroupSize::Cores).or(size),
            "groupinstancecount" => size = count(key, value)?.map(GroupSize::Nodes).or(size),
            "dynamic" => wish.dynamic = is_true(value),
            "extends" => wish.extends = names(value),
            "abstract" => {}
            _ => {
                wish.attributes.insert(key.clone(), value.clone());
            }
        }
    }
    if wish.array.is_empty() {
        return Err("a definition has no `Name`".to_owned());
    }
    if let Some(count) = groups {
        let number = match size {
            Some(GroupSize::Nodes(number) | GroupSize::Cores(number)) if number > 0 => number,
            _ => return Err("`TargetGroupCount` needs `GroupCoreCount` or `GroupInstanceCount`".to_owned()),
        };
        let of = std::mem::take(&mut wish.array);
        wish.array = format!("{of}:{number}");
        wish.groups = size.map(|size| Groups { count, of, size });
    }
    Ok(wish)
}

/// The name as the template writes it.
pub(super) fn known_name(definition: &ClusterDefinition, name: String) -> String {
    if definition.array(&name).is_some() {
        return name;
    }
    let alike = |array: &&ArrayDefinition| array.node.name.eq_ignore_ascii_case(&name);
    match definition.arrays.iter().find(alike) {
        Some(array) => array.node.name.clone(),
        None => name,
    }
}

/// What a demand asks for, for people: `10 cores of execute, 2 nodes of gpu`.
pub(super) fn in_words(demand: &Demand) -> String {
    let words = demand
        .definitions
        .iter()
        .map(|definition| match wish(definition) {
            Err(problem) => format!("something that is not understood: {problem}"),
            Ok(wish) => {
                let part = |count: Option<u32>, what: &str| count.map(|count| format!("{count} {what}"));
                let groups = wish.groups.as_ref().map(|groups| groups.count);
                let parts = [
                    part(wish.nodes, "nodes"),
                    part(wish.cores, "cores"),
                    part(groups, "groups"),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                match parts.as_slice() {
                    [] => format!("node array `{}`", wish.array),
                    parts => format!("{} of node array `{}`", parts.join(" and "), wish.array),
                }
            }
        });
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}

/// Whole numbers from 0, also as text or as a number with a point, as scripts send them.
fn count(key: &str, value: &Value) -> Result<Option<u32>, String> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        value => value.as_f64(),
    };
    let whole = number
        .map(f64::ceil)
        .filter(|number| (0.0..=f64::from(u32::MAX)).contains(number));
    match whole {
        // In range and whole.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        Some(whole) => Ok(Some(whole as u32)),
        None => Err(format!("`{key}` is `{value}`, expected a number from 0")),
    }
}

fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true)
        || value
            .as_str()
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

fn names(value: &Value) -> Vec<String> {
    let names: Vec<&str> = match value {
        Value::String(text) => text.split(',').collect(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let names = names.into_iter().map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// What all request sets together want of one array.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) nodes: u32,
    pub(super) cores: u32,
    pub(super) groups: u32,
}

impl Sum {
    /// Adds up what is wanted of an array whose machines have so many cores. A definition with nodes and cores
    /// wants both of the same machines.
    pub(super) fn of<'a>(wishes: impl Iterator<Item = &'a Wish>, machine_cores: u32) -> Self {
        wishes.fold(Self::default(), |sum, wish| {
            let nodes = wish.nodes.unwrap_or(0);
            let cores = wish.cores.unwrap_or(0);
            let of_nodes = nodes.saturating_mul(machine_cores);
            Self {
                nodes: sum.nodes.saturating_add(nodes),
                cores: sum.cores.saturating_add(cores.saturating_sub(of_nodes)),
                groups: sum
                    .groups
                    .saturating_add(wish.groups.as_ref().map_or(0, |groups| groups.count)),
            }
        })
    }
}

/// How many nodes of so many cores an array lacks, when the nodes `there`, given by their cores, are there.
///
/// Nodes that count for a number of nodes do not count for a number of cores too: different callers want them. The
/// smallest machines count as nodes, so that the large ones are left for cores.
pub(super) fn lacks(sum: Sum, mut there: Vec<u32>, cores: u32) -> u32 {
    there.sort_unstable();
    let as_nodes = there.len().min(usize::try_from(sum.nodes).unwrap_or(usize::MAX));
    let lacking_nodes = sum.nodes - u32::try_from(as_nodes).unwrap_or(sum.nodes);
    let left = there[as_nodes..]
        .iter()
        .fold(0, |sum: u32, cores| sum.saturating_add(*cores));
    let lacking_cores = sum.cores.saturating_sub(left);
    lacking_nodes.saturating_add(lacking_cores.div_ceil(cores.max(1)))
}

/// The cores of the nodes that an array has or is getting, without the node `but`.
pub(super) fn cores_there(
    edit: &ClusterEdit,
    array: &ArrayDefinition,
    machines: &Machines,
    but: Option<&str>,
) -> Vec<u32> {
    edit.nodes
        .iter()
        .filter(|node| is_there(node, &array.node.name) && Some(node.id.as_str()) != but)
        .map(|node| machines.machine(&node.machine_type, &array.node.attributes).cores)
        .collect()
}

/// Whether a node is one of those that an array has or is getting.
pub(super) fn is_there(node: &Node, array: &str) -> bool {
    node.array && node.template == array && node.target_state == TargetState::Started
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn understood(value: Value) -> Result<Wish, String> {
        wish(value.as_object().unwrap())
    }

    #[test]
    fn numbers_come_in_many_forms() {
        for (value, number) in [(json!(3), 3), (json!("3"), 3), (json!(3.0), 3), (json!(2.2), 3)] {
            let wish = understood(json!({"name": "execute", "TARGETCORECOUNT": value})).unwrap();
            assert_eq!(wish.cores, Some(number));
        }
        for value in [json!(-1), json!("many"), json!([1]), json!(1e30)] {
            let error = understood(json!({"Name": "execute", "TargetCount": value})).unwrap_err();
            assert!(error.contains("TargetCount"), "{error}");
        }
        assert!(
            understood(json!({"TargetCount": 1}))
                .unwrap_err()
                .contains("Name")
        );
    }

    #[test]
    fn groups_are_an_array_of_their_own() {
        let wish =
            understood(json!({"Name": "mpi", "TargetGroupCount": 2, "GroupInstanceCount": 4, "Region": "x"}))
                .unwrap();
        assert_eq!(wish.array, "mpi:4");
        let groups = wish.groups.unwrap();
        assert_eq!(
            (groups.of.as_str(), groups.count, groups.size),
            ("mpi", 2, GroupSize::Nodes(4))
        );
        assert_eq!(wish.attributes.len(), 1);
        understood(json!({"Name": "mpi", "TargetGroupCount": 2})).unwrap_err();
    }

    #[test]
    fn what_is_wanted_adds_up_and_nothing_counts_twice() {
        let sum = |nodes, cores| Sum {
            nodes,
            cores,
            groups: 0,
        };
        assert_eq!(lacks(sum(3, 0), vec![], 4), 3);
        assert_eq!(lacks(sum(0, 9), vec![], 4), 3);
        assert_eq!(
            lacks(sum(2, 8), vec![1, 8], 4),
            2,
            "one node is left over for cores, and has none"
        );
        assert_eq!(lacks(sum(1, 8), vec![8, 1], 4), 0, "the small one is the node");
        assert_eq!(lacks(sum(1, 1), vec![1, 1, 1], 1), 0);
    }
}
